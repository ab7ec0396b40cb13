//! Agent kinds and the versions of them in the store.

use std::sync::Arc;

use reef_driver::{AgentKind, Reason, VersionInfo};
use reef_store::AuditEntry;
use reef_types::{ApiError, ErrorCode, Job, JobKind};
use serde::Serialize;
use utoipa::ToSchema;

use super::job;
use crate::{http::error::Outcome, hub::Inner, tasks};

/// One kind of agent.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AgentView {
    pub(crate) kind: String,
    pub(crate) default_version: String,
    pub(crate) tested_versions: Vec<String>,
    pub(crate) installed: Vec<VersionView>,
}

/// One installed version.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct VersionView {
    pub(crate) kind: String,
    pub(crate) version: String,
    pub(crate) size_bytes: u64,
    pub(crate) installed_at: String,
}

impl From<VersionInfo> for VersionView {
    fn from(info: VersionInfo) -> Self {
        Self { kind: info.kind, version: info.version, size_bytes: info.size_bytes, installed_at: info.installed_at }
    }
}

pub(crate) fn kind(hub: &Inner, kind: &str) -> Result<Arc<dyn AgentKind>, ApiError> {
    hub.agents.get(kind).cloned().ok_or_else(|| {
        let known: Vec<_> = hub.agents.keys().copied().collect();
        ApiError::field("agent.kind", format!("there is no such agent; this hub knows: {}", known.join(", ")))
    })
}

pub(crate) async fn list(hub: &Inner) -> Outcome<Vec<AgentView>> {
    let installed = hub.versions.versions().await?;
    let mut views: Vec<_> = hub
        .agents
        .values()
        .map(|agent| AgentView {
            kind: agent.kind().to_owned(),
            default_version: agent.default_version().to_owned(),
            tested_versions: agent.tested_versions().iter().map(|v| (*v).to_owned()).collect(),
            installed: installed.iter().filter(|v| v.kind == agent.kind()).cloned().map(VersionView::from).collect(),
        })
        .collect();
    views.sort_by(|a, b| a.kind.cmp(&b.kind));
    Ok(views)
}

pub(crate) async fn install(hub: &Arc<Inner>, name: &str, version: &str, audit: AuditEntry) -> Outcome<Job> {
    let agent = kind(hub, name)?;
    agent.check_version(version).map_err(|err| ApiError {
        field: Some("version".into()),
        ..ApiError::new(ErrorCode::AgentVersionUnsupported, err.to_string())
    })?;
    let job = job::new(JobKind::AgentInstall, None);
    hub.store.job_create(job.clone(), audit).await?;
    tasks::agent::install(hub.clone(), job.clone(), name.to_owned(), version.to_owned());
    Ok(job)
}

pub(crate) async fn remove(hub: &Inner, name: &str, version: &str, audit: AuditEntry) -> Outcome<()> {
    kind(hub, name)?;
    match hub.versions.remove(name, version).await {
        Ok(()) => Ok(hub.store.audit_append(audit).await?),
        Err(err) if err.reason == Reason::NotFound => {
            Err(ApiError::new(ErrorCode::AgentVersionNotFound, "this version is not installed").into())
        }
        Err(err) if err.reason == Reason::Conflict => {
            Err(ApiError::new(ErrorCode::AgentVersionInUse, err.message).into())
        }
        Err(err) => Err(err.into()),
    }
}
