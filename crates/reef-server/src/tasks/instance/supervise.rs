//! Watches over a process that runs: doors, link, secrets, readiness, crashes.

use std::{sync::Arc, time::Duration};

use reef_driver::{AgentLink, Exit, LinkState};
use reef_types::{InstanceId, JobKind, Phase, Progress};
use tokio::time::Instant;

use super::{
    FAILURES_MAX, Next, STABLE, launch,
    pass::{Pass, Trouble, stop},
    record, settle,
};
use crate::{
    app::job,
    hub::Inner,
    runtime::{AbortOnDrop, Running},
    tasks::door,
};

/// One look at a running process.
pub(super) async fn supervise(pass: &mut Pass<'_>, pid: u32) -> Result<Next, Trouble> {
    let (hub, id, pacing) = (pass.hub, pass.row.spec.id, pass.hub.config.pacing);
    connect(pass, pid).await?;
    let Some((state, linked_at, lost_at)) = hub
        .runtimes
        .with(id, |entry| entry.running.as_ref().map(|r| (r.link.state().borrow().clone(), r.linked_at, r.lost_at)))
        .flatten()
    else {
        return Err(Trouble::Changed);
    };
    match state {
        LinkState::Ready => ready(pass).await,
        LinkState::Connecting { last_error } => {
            let now = Instant::now();
            match pass.row.status.phase {
                // A hub that was just started, or a link that was just lost: give it a moment before telling anybody.
                Phase::Running => {
                    let since = *hub
                        .runtimes
                        .with(id, |entry| entry.running.as_mut().map(|r| *r.lost_at.get_or_insert(now)))
                        .flatten()
                        .as_ref()
                        .unwrap_or(&linked_at);
                    match pacing.link_grace.checked_sub(now - since) {
                        Some(left) if !left.is_zero() => Ok(Next::In(left)),
                        _ => degraded(pass, last_error).await,
                    }
                }
                Phase::Degraded if now - lost_at.unwrap_or(linked_at) > pacing.degraded_max => {
                    stop(pass).await?;
                    again(pass, "unresponsive", "the agent did not answer any more and is started anew").await
                }
                Phase::Degraded => Ok(Next::In(pacing.link_grace)),
                _ => starting(pass, last_error).await,
            }
        }
    }
}

async fn ready(pass: &mut Pass<'_>) -> Result<Next, Trouble> {
    let (hub, id) = (pass.hub, pass.row.spec.id);
    if !set_sealed(hub, id, None) {
        let workload = launch::render(pass).await?;
        let keep: Vec<_> = workload.secrets.into_iter().filter(|secret| !secret.start_only).collect();
        pass.driver.put_secrets(id, &keep).await?;
        set_sealed(hub, id, Some(true));
    }
    hub.runtimes.with(id, |entry| entry.running.as_mut().map(|r| r.lost_at = None));
    let now = jiff::Timestamp::now();
    let status = &mut pass.row.status;
    let ran = status.started_at.map_or(Duration::ZERO, |at| now.duration_since(at).unsigned_abs());
    if ran > STABLE {
        status.failures = 0;
    }
    if status.phase != Phase::Running {
        tracing::info!(instance = %id, name = %pass.row.spec.name, "ready after {} ms", ran.as_millis());
    }
    status.phase = Phase::Running;
    status.observed_generation = pass.row.spec.generation;
    status.conditions.retain(|c| c.kind != "Reconciled");
    status.set_condition("Ready", true, "ready", "the agent is ready", now);
    record::status(hub, &pass.row).await;
    settle::done(pass, JobKind::InstanceStart, None).await;
    Ok(Next::Settled)
}

/// Reads, or sets and reads, whether the start-only secrets were taken away.
fn set_sealed(hub: &Inner, id: InstanceId, value: Option<bool>) -> bool {
    hub.runtimes
        .with(id, |entry| {
            entry.running.as_mut().map(|running| {
                running.secrets_sealed = value.unwrap_or(running.secrets_sealed);
                running.secrets_sealed
            })
        })
        .flatten()
        .unwrap_or(false)
}

async fn starting(pass: &mut Pass<'_>, last_error: Option<String>) -> Result<Next, Trouble> {
    let hub = pass.hub;
    let now = jiff::Timestamp::now();
    if pass.row.status.phase != Phase::Starting {
        // Its start was not written down by the hub that made it; what is written there belongs to an earlier process.
        pass.row.status.started_at = Some(now);
    }
    let waited = now.duration_since(pass.row.status.started_at.unwrap_or(now)).unsigned_abs();
    let limit = hub.config.ready_limit;
    if waited > limit {
        stop(pass).await?;
        let why = last_error.map_or(String::new(), |err| format!(" (last: {err})"));
        return Err(Trouble::Fatal {
            reason: "ready_timeout".into(),
            message: format!(
                "the agent was not ready within {} s{why}; see its logs, then start it again",
                limit.as_secs()
            ),
        });
    }
    pass.row.status.phase = Phase::Starting;
    record::status(hub, &pass.row).await;
    let progress = Progress {
        step: "Waiting for the agent to be ready".into(),
        done: waited.as_secs(),
        total: 0,
        unit: "seconds".into(),
    };
    job::progress(hub, &mut pass.jobs, progress).await;
    Ok(Next::In(Duration::from_secs(1)))
}

async fn degraded(pass: &mut Pass<'_>, last_error: Option<String>) -> Result<Next, Trouble> {
    let (hub, id) = (pass.hub, pass.row.spec.id);
    // An agent that restarts itself reads its secrets again.
    let workload = launch::render(pass).await?;
    pass.driver.put_secrets(id, &workload.secrets).await?;
    set_sealed(hub, id, Some(false));
    pass.row.status.phase = Phase::Degraded;
    let message = match last_error {
        Some(err) => format!("the agent does not answer: {err}"),
        None => "the agent does not answer".to_owned(),
    };
    pass.row.status.set_condition("Ready", false, "unreachable", message, jiff::Timestamp::now());
    record::status(hub, &pass.row).await;
    Ok(Next::In(hub.config.pacing.link_grace))
}

/// The process ended by itself.
pub(super) async fn crashed(pass: &mut Pass<'_>, exit: &Exit) -> Result<Next, Trouble> {
    let reason = match exit {
        Exit { out_of_memory: true, .. } => "out_of_memory",
        Exit { setup_error: Some(_), .. } => "sandbox_setup",
        _ => "exited",
    };
    again(pass, reason, &format!("the agent stopped: {}", exit.describe())).await
}

/// Counts a bad start and plans the next one, or gives up.
async fn again(pass: &mut Pass<'_>, reason: &str, message: &str) -> Result<Next, Trouble> {
    let (hub, id) = (pass.hub, pass.row.spec.id);
    hub.runtimes.unlink(id);
    let status = &mut pass.row.status;
    let ran = status.started_at.map_or(Duration::ZERO, |at| jiff::Timestamp::now().duration_since(at).unsigned_abs());
    status.failures = if status.phase == Phase::Running && ran > STABLE { 1 } else { status.failures + 1 };
    if status.failures >= FAILURES_MAX {
        let message =
            format!("{message}; it was started {FAILURES_MAX} times in vain: see its logs, then start it again");
        return Err(Trouble::Fatal { reason: reason.to_owned(), message });
    }
    let pacing = hub.config.pacing;
    let wait = pacing.restart_first.saturating_mul(1 << (status.failures - 1).min(10)).min(pacing.restart_max);
    tracing::warn!(instance = %id, reason, failures = status.failures, wait_ms = wait.as_millis() as u64, "{message}");
    // Not one of the phases that count an exit as a crash: this exit is dealt with.
    status.phase = Phase::Preparing;
    status.set_condition(
        "Ready",
        false,
        reason,
        format!("{message}; next start in {} s", wait.as_secs()),
        jiff::Timestamp::now(),
    );
    record::status(hub, &pass.row).await;
    hub.runtimes.with(id, |entry| entry.retry_at = Some(Instant::now() + wait));
    Ok(Next::In(wait))
}

/// Makes the link and the doors of this very process, once.
async fn connect(pass: &Pass<'_>, pid: u32) -> Result<(), Trouble> {
    let (hub, id) = (pass.hub, pass.row.spec.id);
    let linked = hub.runtimes.with(id, |entry| entry.running.as_ref().is_some_and(|running| running.pid == pid));
    if linked == Some(true) {
        return Ok(());
    }
    hub.runtimes.unlink(id);
    let (agent, secrets) = launch::knowledge(pass).await?;
    let doors = door::open(hub, &pass.driver, &pass.row.spec, &secrets.broker_key).await?;
    let link = agent.link(&pass.row.spec, &secrets.credential, hub.runtimes.clone());
    let watcher = watch(hub.clone(), id, link.clone());
    let running = Running {
        pid,
        link,
        linked_at: Instant::now(),
        lost_at: None,
        secrets_sealed: false,
        doors,
        _watcher: watcher,
    };
    hub.runtimes.with(id, |entry| entry.running = Some(running)).ok_or(Trouble::Changed)
}

/// Turns what the link reports into nudges and chat changes.
fn watch(hub: Arc<Inner>, id: InstanceId, link: Arc<dyn AgentLink>) -> AbortOnDrop {
    let (mut state, mut events) = (link.state(), link.events());
    // The watcher must not keep the link alive: dropping the link is how it is closed.
    drop(link);
    let task = hub.tasks.clone().spawn(async move {
        let Some(chats) = hub.runtimes.chats(id) else { return };
        loop {
            tokio::select! {
                changed = state.changed() => {
                    if changed.is_err() {
                        break;
                    }
                    chats.invalidate();
                    hub.runtimes.nudge(id);
                }
                event = events.recv() => match event {
                    Ok(event) => chats.apply(event),
                    Err(tokio::sync::broadcast::error::RecvError::Lagged(_)) => chats.invalidate(),
                    Err(tokio::sync::broadcast::error::RecvError::Closed) => break,
                },
            }
        }
    });
    AbortOnDrop(task.abort_handle())
}
