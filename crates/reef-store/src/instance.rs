//! Instances: what is wanted, what was observed. A change of what is wanted, its job and its audit row are one transaction.

use jiff::Timestamp;
use reef_types::{
    AgentRef, Desired, InstanceId, InstanceName, InstanceSpec, InstanceStatus, Job, Resources, instance::Egress,
};
use rusqlite::{Connection, OptionalExtension, Row, named_params, params};
use secrecy::SecretString;

use crate::{
    AuditEntry, Store, StoreError, audit, job,
    row::{
        count, execute, exists, get, json, json_text, parsed, query_all, query_first, time, time_ns, unsigned, word,
        word_text,
    },
    secret,
};

/// One instance as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceRow {
    pub spec: InstanceSpec,
    pub desired: Desired,
    /// Whether state and workspace go when the instance goes.
    pub delete_data: bool,
    /// The generation of the last wish for a fresh start: a process started for an older one is to be replaced.
    pub run_generation: u64,
    pub status: InstanceStatus,
}

/// A change of what is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DesiredChange {
    pub desired: Desired,
    /// None leaves it as it is.
    pub delete_data: Option<bool>,
    /// Wants a fresh start even of an instance that runs.
    pub restart: bool,
}

impl Store {
    /// Records a new instance that shall run, its job, its secrets and who asked; `NameInUse` when the name is taken.
    pub async fn instance_create(
        &self,
        spec: InstanceSpec,
        job: Job,
        secrets: Vec<(String, SecretString)>,
        audit: AuditEntry,
    ) -> Result<InstanceRow, StoreError> {
        let vault = self.vault();
        self.write(move |tx| {
            if exists(tx, "SELECT 1 FROM instances WHERE name = ?1", [spec.name.as_str()])? {
                return Err(StoreError::NameInUse);
            }
            let row = InstanceRow {
                run_generation: spec.generation,
                spec,
                desired: Desired::Running,
                delete_data: false,
                status: InstanceStatus::pending(),
            };
            insert(tx, &row)?;
            job::insert(tx, &job)?;
            let scope = row.spec.id.to_string();
            for (name, value) in &secrets {
                secret::put(tx, &vault, &scope, name, value)?;
            }
            audit::append(tx, &audit, Timestamp::now())?;
            Ok(row)
        })
        .await
    }

    /// All instances, by name.
    pub async fn instance_list(&self) -> Result<Vec<InstanceRow>, StoreError> {
        self.read(|tx| query_all(tx, "SELECT * FROM instances ORDER BY name", (), read)).await
    }

    /// One instance.
    pub async fn instance_get(&self, id: InstanceId) -> Result<Option<InstanceRow>, StoreError> {
        self.read(move |tx| by_id(tx, id)).await
    }

    /// One instance by id or name. No text is both: an id has an underscore, a name has not.
    pub async fn instance_find(&self, selector: &str) -> Result<Option<InstanceRow>, StoreError> {
        if let Ok(id) = selector.parse() {
            return self.instance_get(id).await;
        }
        let Ok(name) = selector.parse::<InstanceName>() else { return Ok(None) };
        self.read(move |tx| query_first(tx, "SELECT * FROM instances WHERE name = ?1", [name.as_str()], read)).await
    }

    /// Changes what is wanted and raises the generation if that is a change at all. A new job takes over: older open
    /// ones of this instance are settled as cancelled, reason `superseded`.
    ///
    /// `NotFound` without the instance; `Conflict` when it is to be deleted and the change wants something else.
    pub async fn instance_set_desired(
        &self,
        id: InstanceId,
        change: DesiredChange,
        job: Option<Job>,
        audit: AuditEntry,
    ) -> Result<InstanceRow, StoreError> {
        self.write(move |tx| {
            let mut row = by_id(tx, id)?.ok_or(StoreError::NotFound)?;
            if row.desired == Desired::Deleted && change.desired != Desired::Deleted {
                return Err(StoreError::Conflict);
            }
            let now = Timestamp::now();
            if row.apply(change) {
                update_desired(tx, &row)?;
            }
            if let Some(job) = job {
                job::supersede(tx, id, now)?;
                job::insert(tx, &job)?;
            }
            audit::append(tx, &audit, now)?;
            Ok(row)
        })
        .await
    }

    /// Records what was observed; writes nothing when it is what is stored. `NotFound` without the instance.
    pub async fn instance_set_status(&self, id: InstanceId, status: InstanceStatus) -> Result<(), StoreError> {
        self.write(move |tx| {
            let id = id.to_string();
            let mut statement = tx.prepare_cached("SELECT status FROM instances WHERE id = ?1")?;
            let stored: Option<String> = statement.query_row([&id], |row| row.get(0)).optional()?;
            let stored = stored.ok_or(StoreError::NotFound)?;
            let status = json_text(&status)?;
            if status != stored {
                execute(tx, "UPDATE instances SET status = ?2 WHERE id = ?1", params![id, status])?;
            }
            Ok(())
        })
        .await
    }

    /// Forgets an instance and its secrets; its jobs stay. Nothing happens when it is gone already.
    pub async fn instance_remove(&self, id: InstanceId) -> Result<(), StoreError> {
        self.write(move |tx| {
            let id = id.to_string();
            secret::delete_scope(tx, &id)?;
            execute(tx, "DELETE FROM instances WHERE id = ?1", [id])?;
            Ok(())
        })
        .await
    }
}

impl InstanceRow {
    /// Takes over a change; whether it was one.
    fn apply(&mut self, change: DesiredChange) -> bool {
        let delete_data = change.delete_data.unwrap_or(self.delete_data);
        if !change.restart && change.desired == self.desired && delete_data == self.delete_data {
            return false;
        }
        self.spec.generation += 1;
        let wakes = self.desired == Desired::Stopped && change.desired == Desired::Running;
        if change.restart || wakes {
            self.run_generation = self.spec.generation;
        }
        self.desired = change.desired;
        self.delete_data = delete_data;
        true
    }
}

fn by_id(conn: &Connection, id: InstanceId) -> Result<Option<InstanceRow>, StoreError> {
    query_first(conn, "SELECT * FROM instances WHERE id = ?1", [id.to_string()], read)
}

fn insert(conn: &Connection, row: &InstanceRow) -> Result<(), StoreError> {
    let spec = &row.spec;
    execute(
        conn,
        "INSERT INTO instances (id, name, display_name, driver, agent_kind, agent_version, model, memory_bytes,
             cpus_milli, pids, egress, labels, generation, created_at_ns, desired, delete_data, run_generation, status)
         VALUES (:id, :name, :display_name, :driver, :agent_kind, :agent_version, :model, :memory_bytes,
             :cpus_milli, :pids, :egress, :labels, :generation, :created_at_ns, :desired, :delete_data,
             :run_generation, :status)",
        named_params! {
            ":id": spec.id.to_string(),
            ":name": spec.name.as_str(),
            ":display_name": spec.display_name,
            ":driver": spec.driver,
            ":agent_kind": spec.agent.kind,
            ":agent_version": spec.agent.version,
            ":model": spec.model,
            ":memory_bytes": count(spec.resources.memory_bytes),
            ":cpus_milli": spec.resources.cpus_milli,
            ":pids": spec.resources.pids,
            ":egress": word_text(&spec.egress)?,
            ":labels": json_text(&spec.labels)?,
            ":generation": count(spec.generation),
            ":created_at_ns": time_ns(spec.created_at),
            ":desired": word_text(&row.desired)?,
            ":delete_data": row.delete_data,
            ":run_generation": count(row.run_generation),
            ":status": json_text(&row.status)?,
        },
    )?;
    Ok(())
}

fn update_desired(conn: &Connection, row: &InstanceRow) -> Result<(), StoreError> {
    execute(
        conn,
        "UPDATE instances SET generation = :generation, desired = :desired, delete_data = :delete_data,
             run_generation = :run_generation WHERE id = :id",
        named_params! {
            ":id": row.spec.id.to_string(),
            ":generation": count(row.spec.generation),
            ":desired": word_text(&row.desired)?,
            ":delete_data": row.delete_data,
            ":run_generation": count(row.run_generation),
        },
    )?;
    Ok(())
}

fn read(row: &Row<'_>) -> Result<InstanceRow, StoreError> {
    Ok(InstanceRow {
        spec: InstanceSpec {
            id: parsed(row, "id")?,
            name: parsed(row, "name")?,
            display_name: get(row, "display_name")?,
            driver: get(row, "driver")?,
            agent: AgentRef { kind: get(row, "agent_kind")?, version: get(row, "agent_version")? },
            model: get(row, "model")?,
            resources: Resources {
                memory_bytes: unsigned(row, "memory_bytes")?,
                cpus_milli: unsigned(row, "cpus_milli")?,
                pids: unsigned(row, "pids")?,
            },
            egress: word::<Egress>(row, "egress")?,
            labels: json(row, "labels")?,
            generation: unsigned(row, "generation")?,
            created_at: time(row, "created_at_ns")?,
        },
        desired: word(row, "desired")?,
        delete_data: get(row, "delete_data")?,
        run_generation: unsigned(row, "run_generation")?,
        status: json(row, "status")?,
    })
}

#[cfg(test)]
mod tests;
