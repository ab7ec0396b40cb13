//! Making, starting, stopping, ending, and finding again.

use futures_util::StreamExt;
use tokio::time::{Duration, Instant, timeout};

use super::{Program, Subject, clear, eventually, exit_of, is_running, launch, reason, workload};
use crate::{DataPolicy, DriverEvent, Exit, ProcessState, Reason};
use reef_types::InstanceId;

const GRACE_MS: u64 = 5_000;

pub(super) async fn what_was_never_made_is_not_found(subject: &mut dyn Subject) {
    let driver = subject.driver();
    let id = InstanceId::new();
    assert_eq!(reason(driver.observe(id).await), Reason::NotFound);
    // Both verbs are repeated after a crash: that it is gone already is success, or at least told apart.
    let stop = driver.stop(id, GRACE_MS).await;
    assert!(stop.as_ref().err().is_none_or(|err| err.reason == Reason::NotFound), "{stop:?}");
    let destroy = driver.destroy(id, DataPolicy::Delete).await;
    assert!(destroy.as_ref().err().is_none_or(|err| err.reason == Reason::NotFound), "{destroy:?}");
    assert!(driver.inventory().await.unwrap().iter().all(|seen| seen.id != id));
}

pub(super) async fn a_made_one_is_there_and_does_not_run(subject: &mut dyn Subject) {
    let driver = subject.driver();
    let workload = workload(subject, &Program::Idle);
    driver.prepare(&workload).await.unwrap();
    driver.prepare(&workload).await.unwrap();
    assert_eq!(driver.observe(workload.id).await.unwrap().process, ProcessState::Absent);
    let found = driver.inventory().await.unwrap();
    assert_eq!(found.iter().filter(|seen| seen.id == workload.id).count(), 1);
    clear(&*driver, workload.id).await;
}

pub(super) async fn starting_twice_runs_one(subject: &mut dyn Subject) {
    let driver = subject.driver();
    let workload = workload(subject, &Program::Idle);
    let first = launch(&*driver, &workload).await;
    assert!(is_running(&first.process), "{first:?}");
    let second = driver.start(&workload).await.unwrap();
    assert_eq!(second.process, first.process);
    let (one, other) = tokio::join!(driver.start(&workload), driver.start(&workload));
    assert_eq!((one.unwrap().process, other.unwrap().process), (first.process.clone(), first.process));
    clear(&*driver, workload.id).await;
}

pub(super) async fn a_running_one_is_left_alone_whatever_its_generation(subject: &mut dyn Subject) {
    let driver = subject.driver();
    let mut workload = workload(subject, &Program::Idle);
    let first = launch(&*driver, &workload).await;
    workload.generation = 2;
    driver.prepare(&workload).await.unwrap();
    let second = driver.start(&workload).await.unwrap();
    assert_eq!((second.generation, &second.process), (1, &first.process));
    driver.stop(workload.id, GRACE_MS).await.unwrap();
    let third = driver.start(&workload).await.unwrap();
    assert_eq!(third.generation, 2);
    assert_ne!(third.process, first.process);
    clear(&*driver, workload.id).await;
}

pub(super) async fn a_stopped_one_can_be_stopped_and_started_again(subject: &mut dyn Subject) {
    let driver = subject.driver();
    let workload = workload(subject, &Program::Idle);
    launch(&*driver, &workload).await;
    for _ in 0..2 {
        driver.stop(workload.id, GRACE_MS).await.unwrap();
        let seen = driver.observe(workload.id).await.unwrap();
        assert!(!is_running(&seen.process), "{seen:?}");
        assert_eq!(seen.usage, None);
    }
    let again = driver.start(&workload).await.unwrap();
    assert!(is_running(&again.process), "{again:?}");
    clear(&*driver, workload.id).await;
}

pub(super) async fn a_program_that_ignores_sigterm_is_killed_after_the_grace(subject: &mut dyn Subject) {
    const SHORT_GRACE_MS: u64 = 300;
    let driver = subject.driver();
    let workload = workload(subject, &Program::Stubborn);
    launch(&*driver, &workload).await;
    let begun = Instant::now();
    driver.stop(workload.id, SHORT_GRACE_MS).await.unwrap();
    let took = begun.elapsed();
    assert!(took < Duration::from_millis(SHORT_GRACE_MS) + super::PATIENCE, "{took:?}");
    let exit = exit_of(&*driver, workload.id).await;
    assert_ne!(exit.code, Some(0), "{exit:?}");
    clear(&*driver, workload.id).await;
}

pub(super) async fn exit_codes_are_reported(subject: &mut dyn Subject) {
    let driver = subject.driver();
    for code in [0_u8, 1, 42] {
        let workload = workload(subject, &Program::Exit { code });
        launch(&*driver, &workload).await;
        let exit = exit_of(&*driver, workload.id).await;
        let expected = Exit { code: Some(code.into()), signal: None, out_of_memory: false, setup_error: None };
        assert_eq!(exit, expected);
        clear(&*driver, workload.id).await;
    }
}

pub(super) async fn an_exit_is_an_event(subject: &mut dyn Subject) {
    let driver = subject.driver();
    let mut events = driver.events();
    let workload = workload(subject, &Program::Exit { code: 3 });
    launch(&*driver, &workload).await;
    let found = timeout(super::PATIENCE, async {
        loop {
            let event = events.next().await.expect("events never end");
            let ours = event == DriverEvent::Resync || event == DriverEvent::Changed { id: workload.id };
            if ours && !is_running(&driver.observe(workload.id).await.unwrap().process) {
                return;
            }
        }
    });
    found.await.expect("no event told of the exit");
    clear(&*driver, workload.id).await;
}

pub(super) async fn a_new_driver_finds_what_runs_and_what_ended(subject: &mut dyn Subject) {
    let driver = subject.driver();
    let running = workload(subject, &Program::Idle);
    let ended = workload(subject, &Program::Exit { code: 7 });
    let before = launch(&*driver, &running).await;
    launch(&*driver, &ended).await;
    let exit = exit_of(&*driver, ended.id).await;
    drop(driver);
    subject.recreate().await;
    let driver = subject.driver();
    let found = driver.inventory().await.unwrap();
    let find = |id| found.iter().find(|seen| seen.id == id).unwrap_or_else(|| panic!("{id} is not in {found:?}"));
    assert_eq!((find(running.id).generation, &find(running.id).process), (1, &before.process));
    assert_eq!(find(ended.id).process, ProcessState::Exited { exit });
    // It is not only seen but held again.
    assert_eq!(driver.start(&running).await.unwrap().process, before.process);
    driver.stop(running.id, GRACE_MS).await.unwrap();
    eventually("the found one is stopped", async || {
        let seen = driver.observe(running.id).await.unwrap();
        if is_running(&seen.process) { Err(seen) } else { Ok(()) }
    })
    .await;
    clear(&*driver, running.id).await;
    clear(&*driver, ended.id).await;
}
