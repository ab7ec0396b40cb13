//! Jobs. A settled job never changes again.

use jiff::Timestamp;
use reef_types::{InstanceId, Job, JobId};
use rusqlite::{Connection, Row, named_params, params};

use crate::{
    AuditEntry, Store, StoreError, audit,
    row::{
        execute, exists, get, json, json_text, parsed, parsed_opt, query_all, query_first, time, time_ns, word,
        word_text,
    },
};

/// The `reason` of a job that a newer one of the same instance took over from.
pub const REASON_SUPERSEDED: &str = "superseded";

impl Store {
    /// Records a new job and who asked for it.
    pub async fn job_create(&self, job: Job, audit: AuditEntry) -> Result<(), StoreError> {
        self.write(move |tx| {
            insert(tx, &job)?;
            audit::append(tx, &audit, Timestamp::now())
        })
        .await
    }

    /// Records state, progress and outcome. A job that is settled stays as it is, without an error, because the runner
    /// of a cancelled job may be a moment behind; `NotFound` without the job.
    pub async fn job_update(&self, job: Job) -> Result<(), StoreError> {
        self.write(move |tx| {
            let changed = execute(
                tx,
                "UPDATE jobs SET state = :state, progress = :progress, reason = :reason, message = :message,
                     updated_at_ns = :updated_at_ns
                 WHERE id = :id AND state IN ('queued', 'running')",
                named_params! {
                    ":id": job.id.to_string(),
                    ":state": word_text(&job.state)?,
                    ":progress": json_text(&job.progress)?,
                    ":reason": job.reason,
                    ":message": job.message,
                    ":updated_at_ns": time_ns(job.updated_at),
                },
            )?;
            if changed == 0 && !exists(tx, "SELECT 1 FROM jobs WHERE id = ?1", [job.id.to_string()])? {
                return Err(StoreError::NotFound);
            }
            Ok(())
        })
        .await
    }

    /// One job.
    pub async fn job_get(&self, id: JobId) -> Result<Option<Job>, StoreError> {
        self.read(move |tx| query_first(tx, "SELECT * FROM jobs WHERE id = ?1", [id.to_string()], read)).await
    }

    /// The newest jobs, newest first.
    pub async fn job_list(&self, limit: u32) -> Result<Vec<Job>, StoreError> {
        const SQL: &str = "SELECT * FROM jobs ORDER BY created_at_ns DESC, id DESC LIMIT ?1";
        self.read(move |tx| query_all(tx, SQL, [limit], read)).await
    }

    /// The jobs that are not settled, oldest first.
    pub async fn job_open(&self) -> Result<Vec<Job>, StoreError> {
        const SQL: &str = "SELECT * FROM jobs WHERE state IN ('queued', 'running') ORDER BY created_at_ns, id";
        self.read(|tx| query_all(tx, SQL, (), read)).await
    }

    /// Drops settled jobs but for the newest `keep`; how many went.
    pub async fn job_prune(&self, keep: u32) -> Result<u32, StoreError> {
        self.write(move |tx| {
            let gone = execute(
                tx,
                "DELETE FROM jobs WHERE id IN (
                     SELECT id FROM jobs WHERE state NOT IN ('queued', 'running')
                     ORDER BY created_at_ns DESC, id DESC LIMIT -1 OFFSET ?1)",
                [keep],
            )?;
            Ok(u32::try_from(gone).unwrap_or(u32::MAX))
        })
        .await
    }
}

pub(crate) fn insert(conn: &Connection, job: &Job) -> Result<(), StoreError> {
    execute(
        conn,
        "INSERT INTO jobs (id, kind, state, instance_id, progress, reason, message, created_at_ns, updated_at_ns)
         VALUES (:id, :kind, :state, :instance_id, :progress, :reason, :message, :created_at_ns, :updated_at_ns)",
        named_params! {
            ":id": job.id.to_string(),
            ":kind": word_text(&job.kind)?,
            ":state": word_text(&job.state)?,
            ":instance_id": job.instance_id.map(|id| id.to_string()),
            ":progress": json_text(&job.progress)?,
            ":reason": job.reason,
            ":message": job.message,
            ":created_at_ns": time_ns(job.created_at),
            ":updated_at_ns": time_ns(job.updated_at),
        },
    )?;
    Ok(())
}

/// Settles the open jobs of an instance, because another one takes over.
pub(crate) fn supersede(conn: &Connection, instance: InstanceId, now: Timestamp) -> Result<(), StoreError> {
    execute(
        conn,
        "UPDATE jobs SET state = 'cancelled', reason = ?2, updated_at_ns = ?3
         WHERE instance_id = ?1 AND state IN ('queued', 'running')",
        params![instance.to_string(), REASON_SUPERSEDED, time_ns(now)],
    )?;
    Ok(())
}

fn read(row: &Row<'_>) -> Result<Job, StoreError> {
    Ok(Job {
        id: parsed(row, "id")?,
        kind: word(row, "kind")?,
        state: word(row, "state")?,
        instance_id: parsed_opt(row, "instance_id")?,
        progress: json(row, "progress")?,
        reason: get(row, "reason")?,
        message: get(row, "message")?,
        created_at: time(row, "created_at_ns")?,
        updated_at: time(row, "updated_at_ns")?,
    })
}

#[cfg(test)]
mod tests;
