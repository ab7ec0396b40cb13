//! Instances: create, look, start, stop, delete.

use std::{collections::BTreeMap, sync::Arc};

use reef_store::{AuditEntry, DesiredChange, InstanceRow};
use reef_types::{
    AgentRef, ApiError, Desired, Egress, ErrorCode, InstanceId, InstanceName, InstanceSpec, InstanceView, Job, JobKind,
    Phase, ResourceReport, Resources, instance::EndpointView, name::NameError,
};
use secrecy::ExposeSecret;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{instance_secret, job, provider};
use crate::{
    bus::HubEvent,
    http::error::{Failure, Outcome},
    hub::Inner,
    tasks::instance::ensure_worker,
};

/// Instances that one hub takes.
pub(crate) const INSTANCES_MAX: usize = 1000;
/// Paths below `/api/instances/` that are no instance.
const RESERVED_NAMES: &[&str] = &["credentials"];
const DISPLAY_NAME_CHARS_MAX: usize = 80;
const LABELS_MAX: usize = 32;
const LABEL_CHARS_MAX: usize = 63;

/// What a new instance shall be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct InstanceCreate {
    /// 1 to 40 of a-z, 0-9 and '-', starting and ending with a letter or digit.
    pub(crate) name: String,
    pub(crate) display_name: Option<String>,
    pub(crate) driver: Option<String>,
    pub(crate) agent: Option<AgentCreate>,
    /// `provider/model` as `GET /api/providers` lists them.
    pub(crate) model: Option<String>,
    #[serde(default)]
    pub(crate) resources: Resources,
    #[serde(default)]
    pub(crate) egress: Egress,
    #[serde(default)]
    pub(crate) labels: BTreeMap<String, String>,
}

/// Which agent; the version may be left to the hub.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct AgentCreate {
    pub(crate) kind: String,
    pub(crate) version: Option<String>,
}

/// Writes a new instance down and lets its worker bring it up.
pub(crate) async fn create(hub: &Arc<Inner>, wish: InstanceCreate, audit: AuditEntry) -> Outcome<(InstanceRow, Job)> {
    let (spec, agent) = validate(hub, wish)?;
    if hub.store.instance_list().await?.len() >= INSTANCES_MAX {
        return Err(ApiError::new(ErrorCode::QuotaExceeded, format!("this hub takes {INSTANCES_MAX} instances")).into());
    }
    let job = job::new(JobKind::InstanceStart, Some(spec.id));
    let secrets = vec![
        (instance_secret::CREDENTIAL.to_owned(), agent.new_credential().0),
        (instance_secret::BROKER_KEY.to_owned(), instance_secret::new_broker_key()?),
    ];
    let row = hub.store.instance_create(spec, job.clone(), secrets, audit).await?;
    crate::routes::publish(hub).await;
    announce(hub, row.spec.id).await;
    ensure_worker(hub, row.spec.id, &row.spec.driver);
    Ok((row, job))
}

fn validate(hub: &Inner, wish: InstanceCreate) -> Result<(InstanceSpec, Arc<dyn reef_driver::AgentKind>), Failure> {
    let name: InstanceName = wish.name.parse().map_err(|err: NameError| ApiError::field("name", err.to_string()))?;
    if RESERVED_NAMES.contains(&name.as_str()) {
        return Err(ApiError::field("name", "this name is taken by a route of the API; choose another").into());
    }
    if wish
        .display_name
        .as_ref()
        .is_some_and(|n| n.chars().count() > DISPLAY_NAME_CHARS_MAX || n.chars().any(char::is_control))
    {
        let message = format!("a display name has at most {DISPLAY_NAME_CHARS_MAX} printable characters");
        return Err(ApiError::field("displayName", message).into());
    }
    let driver = wish.driver.unwrap_or_else(|| "process".to_owned());
    if !hub.drivers.contains_key(driver.as_str()) {
        let known: Vec<_> = hub.drivers.keys().copied().collect();
        return Err(
            ApiError::field("driver", format!("there is no such driver; this hub has: {}", known.join(", "))).into()
        );
    }
    let (kind, version) = match wish.agent {
        Some(agent) => (agent.kind, agent.version),
        None => (hub.default_agent.to_owned(), None),
    };
    let agent = super::agent::kind(hub, &kind)?;
    let version = version.unwrap_or_else(|| agent.default_version().to_owned());
    agent.check_version(&version).map_err(|err| ApiError {
        field: Some("agent.version".into()),
        ..ApiError::new(ErrorCode::AgentVersionUnsupported, err.to_string())
    })?;
    if let Some(model) = &wish.model
        && !provider::models(hub).iter().any(|known| known.id == *model)
    {
        return Err(ApiError::field("model", "no provider offers this model; see the list of providers").into());
    }
    check_resources(&wish.resources)?;
    check_labels(&wish.labels)?;
    let spec = InstanceSpec {
        id: InstanceId::new(),
        name,
        display_name: wish.display_name,
        driver,
        agent: AgentRef { kind, version },
        model: wish.model,
        resources: wish.resources,
        egress: wish.egress,
        labels: wish.labels,
        generation: 1,
        created_at: jiff::Timestamp::now(),
    };
    Ok((spec, agent))
}

fn check_resources(resources: &Resources) -> Result<(), ApiError> {
    let bad = |field: &str, message: &str| Err(ApiError::field(field, message));
    if resources.memory_bytes < Resources::MEMORY_BYTES_MIN || resources.memory_bytes > 1 << 42 {
        return bad("resources.memoryBytes", "memory is between 256 MiB and 4 TiB; agents need about 2 GiB");
    }
    if !(100..=1_024_000).contains(&resources.cpus_milli) {
        return bad("resources.cpusMilli", "cpus are between 0.1 and 1024");
    }
    if !(32..=1_000_000).contains(&resources.pids) {
        return bad("resources.pids", "pids are between 32 and 1000000");
    }
    Ok(())
}

fn check_labels(labels: &BTreeMap<String, String>) -> Result<(), ApiError> {
    let fine = |text: &str| {
        text.len() <= LABEL_CHARS_MAX && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_./".contains(&b))
    };
    if labels.len() > LABELS_MAX || labels.iter().any(|(key, value)| key.is_empty() || !fine(key) || !fine(value)) {
        let message = format!(
            "at most {LABELS_MAX} labels; keys and values have at most {LABEL_CHARS_MAX} of letters, digits, '-', '_', '.' and '/'"
        );
        return Err(ApiError::field("labels", message));
    }
    Ok(())
}

/// The row that an id or a name stands for.
pub(crate) async fn find(hub: &Inner, selector: &str) -> Outcome<InstanceRow> {
    match hub.store.instance_find(selector).await? {
        Some(row) => Ok(row),
        None => {
            Err(ApiError::new(ErrorCode::InstanceNotFound, "there is no such instance; `reef ls` shows all").into())
        }
    }
}

/// What somebody asks of an existing instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    Start,
    Stop,
    Restart,
    Delete { data: bool },
}

/// Writes the wish down; no job when there is nothing to do.
pub(crate) async fn want(
    hub: &Arc<Inner>,
    row: InstanceRow,
    wish: Wish,
    audit: AuditEntry,
) -> Outcome<(InstanceRow, Option<Job>)> {
    let id = row.spec.id;
    if row.desired == Desired::Deleted && !matches!(wish, Wish::Delete { .. }) {
        return Err(ApiError::new(ErrorCode::InstanceBusy, "the instance is being removed").into());
    }
    let failed = row.status.phase == Phase::Failed;
    let (desired, delete_data, restart, kind) = match wish {
        Wish::Start if row.desired == Desired::Running && !failed => {
            return Ok((row, open_job(hub, id, JobKind::InstanceStart).await));
        }
        Wish::Start => (Desired::Running, None, true, JobKind::InstanceStart),
        Wish::Stop if row.desired == Desired::Stopped => {
            return Ok((row, open_job(hub, id, JobKind::InstanceStop).await));
        }
        Wish::Stop => (Desired::Stopped, None, false, JobKind::InstanceStop),
        Wish::Restart => (Desired::Running, None, true, JobKind::InstanceStart),
        Wish::Delete { data } => (Desired::Deleted, Some(data), false, JobKind::InstanceDelete),
    };
    let job = job::new(kind, Some(id));
    let change = DesiredChange { desired, delete_data, restart };
    let superseded = job::open_of(hub, id).await;
    let row = hub.store.instance_set_desired(id, change, Some(job.clone()), audit).await?;
    for old in superseded {
        job::announce(hub, old.id).await;
    }
    hub.runtimes.with(id, |entry| entry.retry_at = None);
    announce(hub, id).await;
    ensure_worker(hub, id, &row.spec.driver);
    Ok((row, Some(job)))
}

async fn open_job(hub: &Inner, id: InstanceId, kind: JobKind) -> Option<Job> {
    job::open_of(hub, id).await.into_iter().find(|job| job.kind == kind)
}

/// The instance did some work just now.
pub(crate) async fn touched(hub: &Arc<Inner>, id: InstanceId) {
    // Only the reconciler writes a status: it takes the time from here at its next write.
    hub.activity.lock().insert(id, jiff::Timestamp::now());
    announce(hub, id).await;
}

/// Tells everybody who listens how the instance is now.
pub(crate) async fn announce(hub: &Inner, id: InstanceId) {
    let _turn = hub.telling.lock().await;
    match hub.store.instance_get(id).await {
        Ok(Some(row)) => hub.bus.publish(&HubEvent::Instance(&view(hub, &row).await)),
        // Removed in the meantime, which was told already.
        Ok(None) => {}
        Err(err) => tracing::error!(instance = %id, error = %err, "the instance could not be read"),
    }
}

/// The instance as the API shows it.
pub(crate) async fn view(hub: &Inner, row: &InstanceRow) -> InstanceView {
    let job = job::open_of(hub, row.spec.id).await.pop();
    view_with(hub, row, job)
}

/// Views of all instances, by name.
pub(crate) async fn views(hub: &Inner) -> Outcome<Vec<InstanceView>> {
    let rows = hub.store.instance_list().await?;
    let mut jobs: std::collections::HashMap<_, _> =
        hub.store.job_open().await?.into_iter().filter_map(|job| Some((job.instance_id?, job))).collect();
    Ok(rows.iter().map(|row| view_with(hub, row, jobs.remove(&row.spec.id))).collect())
}

fn view_with(hub: &Inner, row: &InstanceRow, job: Option<Job>) -> InstanceView {
    let InstanceRow { spec, status, .. } = row;
    InstanceView {
        id: spec.id,
        name: spec.name.clone(),
        display_name: spec.display_name.clone(),
        driver: spec.driver.clone(),
        agent: spec.agent.clone(),
        phase: status.phase,
        availability: status.phase.availability(),
        gateway: status.phase.gateway(),
        desired: row.desired,
        generation: spec.generation,
        observed_generation: status.observed_generation,
        conditions: status.conditions.clone(),
        created_at: spec.created_at,
        started_at: status.started_at,
        endpoint: EndpointView { url: format!("/api/instances/{}/proxy/", spec.name) },
        resources: ResourceReport { requested: spec.resources, enforced: status.enforced.clone() },
        egress: spec.egress,
        labels: spec.labels.clone(),
        model: spec.model.clone(),
        last_activity_at: hub.activity.lock().get(&spec.id).copied().or(status.last_activity_at),
        next_cron_at: None,
        usage: hub.usage.lock().get(&spec.id).copied().unwrap_or_default(),
        job,
    }
}

/// The token that the instance's gateway asks for.
pub(crate) async fn gateway_token(hub: &Inner, row: &InstanceRow) -> Outcome<String> {
    let agent = super::agent::kind(hub, &row.spec.agent.kind)?;
    let missing = || {
        ApiError::new(ErrorCode::InstanceUnavailable, "the instance has no credential; remove it and create it anew")
    };
    let secrets = instance_secret::load(hub, row.spec.id).await?.ok_or_else(missing)?;
    Ok(agent.gateway_token(&secrets.credential).ok_or_else(missing)?.expose_secret().to_owned())
}
