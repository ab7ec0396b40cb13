//! What programs print can be read back, once and while they run.

use futures_util::StreamExt;
use reef_types::InstanceId;
use tokio::time::timeout;

use super::{PATIENCE, Program, Subject, clear, eventually, exit_of, launch, workload};
use crate::{Driver, LogQuery};

const ALL: usize = 1000;

/// What the program itself printed, so far.
async fn printed(driver: &dyn Driver, id: InstanceId, tail: usize) -> Vec<String> {
    let lines = driver.logs(id, LogQuery { tail, follow: false }).collect::<Vec<_>>();
    let lines = timeout(PATIENCE, lines).await.expect("logs that are not followed end");
    lines.into_iter().map(|line| line.unwrap()).filter(|line| line.stream == "stdout").map(|line| line.text).collect()
}

pub(super) async fn wait_for_line(driver: &dyn Driver, id: InstanceId, wanted: &str) {
    eventually(wanted, async || {
        let lines = printed(driver, id, ALL).await;
        if lines.iter().any(|line| line == wanted) { Ok(()) } else { Err(lines) }
    })
    .await;
}

pub(super) async fn the_tail_ends_and_has_the_last_lines(subject: &mut dyn Subject) {
    let driver = subject.driver();
    let lines: Vec<String> = ["eins", "zwei drei", "", "vier"].map(str::to_owned).into();
    let workload = workload(subject, &Program::Print { lines: lines.clone() });
    launch(&*driver, &workload).await;
    exit_of(&*driver, workload.id).await;
    eventually("all lines are in the log", async || {
        let seen = printed(&*driver, workload.id, ALL).await;
        if seen == lines { Ok(()) } else { Err(seen) }
    })
    .await;
    let last = driver.logs(workload.id, LogQuery { tail: 1, follow: false }).collect::<Vec<_>>().await;
    assert_eq!(last.len(), 1, "{last:?}");
    clear(&*driver, workload.id).await;
}

pub(super) async fn following_goes_on(subject: &mut dyn Subject) {
    let driver = subject.driver();
    let workload = workload(subject, &Program::Tick);
    launch(&*driver, &workload).await;
    wait_for_line(&*driver, workload.id, "tick 2").await;
    let mut lines = driver.logs(workload.id, LogQuery { tail: ALL, follow: true });
    let mut seen = Vec::new();
    while seen.len() < 5 {
        let line = timeout(PATIENCE, lines.next()).await.expect("no more lines").expect("the stream ended").unwrap();
        if line.stream == "stdout" {
            seen.push(line.text);
        }
    }
    assert_eq!(seen, ["tick 1", "tick 2", "tick 3", "tick 4", "tick 5"]);
    drop(lines);
    clear(&*driver, workload.id).await;
}

pub(super) async fn a_follower_of_nothing_is_told_so(subject: &mut dyn Subject) {
    let driver = subject.driver();
    let mut lines = driver.logs(InstanceId::new(), LogQuery { tail: 1, follow: true });
    let first = timeout(PATIENCE, lines.next()).await.expect("an answer");
    assert!(matches!(first, None | Some(Err(_))), "{first:?}");
}
