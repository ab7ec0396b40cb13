//! Fixtures for this crate's tests.

use jiff::Timestamp;
use reef_types::{AgentRef, Egress, InstanceId, InstanceSpec, Job, JobId, JobKind, JobState, Progress, Resources};
use tempfile::TempDir;

use crate::{AuditEntry, Store};

/// A store in a folder that goes away with the test.
pub(crate) fn store() -> (TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    (dir, store)
}

pub(crate) fn spec(name: &str) -> InstanceSpec {
    InstanceSpec {
        id: InstanceId::new(),
        name: name.parse().unwrap(),
        display_name: Some("Dr. Who".to_owned()),
        driver: "process".to_owned(),
        agent: AgentRef { kind: "any".to_owned(), version: "1.2.3".to_owned() },
        model: None,
        resources: Resources::default(),
        egress: Egress::Open,
        labels: [("team".to_owned(), "blue \"quoted\"".to_owned())].into(),
        generation: 1,
        created_at: Timestamp::now(),
    }
}

pub(crate) fn job(instance: InstanceId, kind: JobKind) -> Job {
    let now = Timestamp::now();
    Job {
        id: JobId::new(),
        kind,
        state: JobState::Queued,
        instance_id: Some(instance),
        progress: Progress::step("waiting"),
        reason: None,
        message: None,
        created_at: now,
        updated_at: now,
    }
}

pub(crate) fn audit(action: &str) -> AuditEntry {
    AuditEntry {
        actor: "owner:ada".to_owned(),
        action: action.to_owned(),
        resource: "instances".to_owned(),
        request_id: "req-1".to_owned(),
        detail: String::new(),
    }
}
