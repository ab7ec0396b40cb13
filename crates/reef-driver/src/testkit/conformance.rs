//! What every driver promises, as a list of cases. The fake, the real drivers and a driver behind the node's socket run
//! the same list; a case that one of them cannot pass is a hole in the seam, not a reason to leave the case out.

mod connections;
mod data;
mod lifecycle;
mod logs;
mod secrets;

use std::{future::Future, panic::AssertUnwindSafe, pin::Pin, sync::Arc};

use async_trait::async_trait;
use futures_util::FutureExt;
use reef_types::{Egress, InstanceId, Resources};
use tokio::time::{Duration, Instant, sleep};

use super::Program;
use crate::{Driver, DriverError, Exit, Observed, ProcessState, SecretFile, Workload, WorkloadFile, sandbox_paths};

/// How long a case waits for something to become true.
const PATIENCE: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A driver under test on a machine of its own. Dropping it must leave nothing running.
#[async_trait]
pub trait Subject: Send {
    fn driver(&self) -> Arc<dyn Driver>;

    /// Drops the driver and makes another one over the same data, as a restart of the node does.
    async fn recreate(&mut self);

    /// What the driver is to run for a program. By default what a sandbox with a shell and perl can run.
    fn argv(&self, program: &Program) -> Vec<String> {
        program.shell_argv()
    }

    /// Content of a file of an instance, by its path in the sandbox, seen from outside; none when it is not there.
    async fn file(&self, id: InstanceId, path: &str) -> Option<String>;
}

/// A promise.
pub type Case = for<'a> fn(&'a mut dyn Subject) -> Pin<Box<dyn Future<Output = ()> + 'a>>;

macro_rules! cases {
    ($($module:ident::$case:ident),* $(,)?) => {
        /// Every case by name.
        pub const CASES: &[(&str, Case)] = &[
            $((concat!(stringify!($module), "::", stringify!($case)), |subject| Box::pin($module::$case(subject))),)*
        ];
    };
}

cases! {
    lifecycle::what_was_never_made_is_not_found,
    lifecycle::a_made_one_is_there_and_does_not_run,
    lifecycle::starting_twice_runs_one,
    lifecycle::a_running_one_is_left_alone_whatever_its_generation,
    lifecycle::a_stopped_one_can_be_stopped_and_started_again,
    lifecycle::a_program_that_ignores_sigterm_is_killed_after_the_grace,
    lifecycle::exit_codes_are_reported,
    lifecycle::an_exit_is_an_event,
    lifecycle::a_new_driver_finds_what_runs_and_what_ended,
    data::preparing_writes_files_and_spares_those_of_the_instance,
    data::destroying_with_keep_leaves_the_files_to_the_next_one,
    data::destroying_with_delete_leaves_nothing,
    data::a_running_one_can_be_destroyed,
    connections::a_dialled_port_answers,
    connections::dialling_what_does_not_answer_fails_with_its_reason,
    connections::a_door_leads_to_the_hub,
    connections::a_door_that_was_not_asked_for_is_refused,
    logs::the_tail_ends_and_has_the_last_lines,
    logs::following_goes_on,
    logs::a_follower_of_nothing_is_told_so,
    secrets::they_are_there_at_the_start_and_replaced_and_taken_away,
}

/// Runs every case on a fresh subject.
///
/// # Panics
/// With the names of all cases that failed; what each expected is printed by its own panic before.
pub async fn run_all<S: Subject, F: Future<Output = S>>(mut make: impl FnMut() -> F) {
    let mut failed = Vec::new();
    for (name, case) in CASES {
        let mut subject = make().await;
        // A panic is one case's; its subject is not used again.
        if AssertUnwindSafe(case(&mut subject)).catch_unwind().await.is_err() {
            failed.push(*name);
        }
    }
    assert!(failed.is_empty(), "{} of {} cases failed: {failed:#?}", failed.len(), CASES.len());
}

/// A workload that runs `program` and has nothing else.
fn workload(subject: &dyn Subject, program: &Program) -> Workload {
    Workload {
        id: InstanceId::new(),
        name: "conformance".parse().expect("a valid name"),
        generation: 1,
        argv: subject.argv(program),
        env: [("PATH".to_owned(), "/usr/bin:/bin".to_owned())].into(),
        cwd: sandbox_paths::WORKSPACE.to_owned(),
        versions: Vec::new(),
        files: Vec::new(),
        secrets: Vec::new(),
        resources: Resources { memory_bytes: Resources::MEMORY_BYTES_MIN, cpus_milli: 1000, pids: 64 },
        egress: Egress::Closed,
        doors: Vec::new(),
    }
}

fn file(path: &str, content: &str, overwrite: bool) -> WorkloadFile {
    WorkloadFile { path: path.to_owned(), content: content.to_owned(), overwrite }
}

fn secret(name: &str, value: &str) -> SecretFile {
    SecretFile { name: name.to_owned(), value: value.to_owned(), start_only: false }
}

async fn launch(driver: &dyn Driver, workload: &Workload) -> Observed {
    driver.prepare(workload).await.expect("prepare");
    driver.start(workload).await.expect("start")
}

/// Stops and removes an instance, so that a case leaves the machine as it was.
async fn clear(driver: &dyn Driver, id: InstanceId) {
    driver.destroy(id, crate::DataPolicy::Delete).await.expect("destroy");
}

/// Waits until the program of an instance has ended.
async fn exit_of(driver: &dyn Driver, id: InstanceId) -> Exit {
    let state = eventually("the program ends", async || {
        let seen = driver.observe(id).await.expect("observe");
        match seen.process {
            ProcessState::Exited { exit } => Ok(exit),
            other => Err(other),
        }
    });
    state.await
}

/// Asks again until the answer is `Ok`.
///
/// # Panics
/// With the last answer when [`PATIENCE`] is over.
async fn eventually<T, E: std::fmt::Debug>(what: &str, mut ask: impl AsyncFnMut() -> Result<T, E>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match ask().await {
            Ok(found) => return found,
            Err(other) if Instant::now() >= deadline => panic!("waited for: {what}; last seen: {other:?}"),
            Err(_) => sleep(LOOK_EVERY).await,
        }
    }
}

fn is_running(process: &ProcessState) -> bool {
    matches!(process, ProcessState::Running { .. })
}

fn reason<T: std::fmt::Debug>(result: Result<T, DriverError>) -> crate::Reason {
    result.expect_err("should have failed").reason
}
