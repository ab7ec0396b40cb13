//! What was acknowledged survives `kill -9`, and what was not is there whole or not at all.
//!
//! Not a usual test function: the same executable is also the process that gets killed.

use std::{
    env,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
};

use jiff::Timestamp;
use reef_store::{AuditEntry, Store, StoreError};
use reef_types::{AgentRef, Egress, InstanceId, InstanceSpec, Job, JobId, JobKind, JobState, Progress, Resources};
use secrecy::{ExposeSecret, SecretString};

const CHILD_DIR: &str = "REEF_CRASH_TEST_DIR";
/// How many writes are acknowledged before each kill; uneven, so that the log is in different states.
const ROUNDS: [usize; 4] = [1, 7, 40, 150];

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("runtime");
    match env::var_os(CHILD_DIR) {
        Some(dir) => runtime.block_on(write_until_killed(Path::new(&dir))),
        None => runtime.block_on(survives_kill()),
    }
}

async fn survives_kill() {
    let dir = tempfile::tempdir().expect("temp dir");
    let mut acknowledged = Vec::new();
    for writes in ROUNDS {
        let mut child = Command::new(env::current_exe().expect("own path"))
            .env(CHILD_DIR, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .expect("child");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        acknowledged.extend(lines.by_ref().take(writes).map(|line| line.expect("line")));
        match Store::open(dir.path()) {
            Err(StoreError::Locked { pid }) => assert_eq!(pid, child.id()),
            other => panic!("the folder is the child's: {other:?}"),
        }
        // `kill` is SIGKILL. It writes on all the while.
        child.kill().expect("kill");
        child.wait().expect("wait");
        acknowledged.extend(lines.map(|line| line.expect("line")));
        check(dir.path(), &acknowledged).await;
    }
    println!("crash: {} acknowledged writes survived {} kills", acknowledged.len(), ROUNDS.len());
}

async fn check(dir: &Path, acknowledged: &[String]) {
    let store = Store::open(dir).expect("a killed process leaves the folder free and whole");
    let instances = store.instance_list().await.expect("list");
    for name in acknowledged {
        assert!(instances.iter().any(|row| row.spec.name.as_str() == name), "{name} was acknowledged and is gone");
    }
    // At most the one write of each round that was committed and not yet told.
    assert!(instances.len() <= acknowledged.len() + ROUNDS.len(), "{} instances", instances.len());
    assert_eq!(store.job_open().await.expect("jobs").len(), instances.len());
    assert_eq!(store.audit_list(u32::MAX).await.expect("audit").len(), instances.len());
    for row in &instances {
        let secret = store.secret_get(&row.spec.id.to_string(), "gateway").await.expect("opens").expect("is there");
        assert_eq!(secret.expose_secret(), row.spec.name.as_str());
    }
    store.close().await;
}

async fn write_until_killed(dir: &Path) {
    let store = Store::open(dir).expect("open");
    let first = store.instance_list().await.expect("list").len();
    for number in first.. {
        let name = format!("n{number}");
        let (spec, job) = rows(&name);
        let secrets = vec![("gateway".to_owned(), SecretString::from(name.as_str()))];
        let audit = AuditEntry {
            actor: "test".to_owned(),
            action: "instance.create".to_owned(),
            resource: spec.id.to_string(),
            request_id: String::new(),
            detail: String::new(),
        };
        store.instance_create(spec, job, secrets, audit).await.expect("create");
        let mut out = std::io::stdout();
        writeln!(out, "{name}").and_then(|()| out.flush()).expect("acknowledge");
    }
}

fn rows(name: &str) -> (InstanceSpec, Job) {
    let now = Timestamp::now();
    let spec = InstanceSpec {
        id: InstanceId::new(),
        name: name.parse().expect("a valid name"),
        display_name: None,
        driver: "process".to_owned(),
        agent: AgentRef { kind: "any".to_owned(), version: "1.0.0".to_owned() },
        model: None,
        resources: Resources::default(),
        egress: Egress::Closed,
        labels: [].into(),
        generation: 1,
        created_at: now,
    };
    let job = Job {
        id: JobId::new(),
        kind: JobKind::InstanceStart,
        state: JobState::Queued,
        instance_id: Some(spec.id),
        progress: Progress::default(),
        reason: None,
        message: None,
        created_at: now,
        updated_at: now,
    };
    (spec, job)
}
