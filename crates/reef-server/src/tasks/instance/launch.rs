//! From nothing to a started process.

use std::{sync::Arc, time::Duration};

use reef_driver::{AgentKind, ProcessState, RenderInput};
use reef_types::{Phase, Progress};
use tokio::time::Instant;

use super::{
    Next, install,
    pass::{Pass, Trouble},
    record,
};
use crate::{
    app::{
        instance_secret::{self, InstanceSecrets},
        job, provider,
    },
    tasks::door,
};

/// Prepares and starts the instance, unless it has to wait out a back-off.
pub(super) async fn launch(pass: &mut Pass<'_>) -> Result<Next, Trouble> {
    let (hub, id) = (pass.hub, pass.row.spec.id);
    if let Some(wait) = hub.runtimes.with(id, |entry| entry.retry_at).flatten().and_then(remaining) {
        return Ok(Next::In(wait));
    }
    pass.row.status.phase = Phase::Preparing;
    record::status(hub, &pass.row).await;
    let versions = install::ensure(pass).await?;
    job::progress(hub, &mut pass.jobs, Progress::step("Starting the agent")).await;
    pass.row.status.set_condition(
        "Installed",
        true,
        "installed",
        "the agent's software is in place",
        jiff::Timestamp::now(),
    );
    record::status(hub, &pass.row).await;

    let mut workload = render(pass).await?;
    workload.versions = versions;
    workload.generation = pass.row.spec.generation;
    pass.driver.prepare(&workload).await?;
    let observed = pass.driver.start(&workload).await?;

    let status = &mut pass.row.status;
    status.phase = Phase::Starting;
    status.observed_generation = pass.row.spec.generation;
    status.started_at = Some(jiff::Timestamp::now());
    status.enforced = observed.enforced;
    status.conditions.retain(|c| c.kind != "Reconciled");
    status.set_condition("Ready", false, "starting", "the agent is starting", jiff::Timestamp::now());
    record::status(hub, &pass.row).await;
    hub.runtimes.with(id, |entry| entry.retry_at = None);
    match observed.process {
        ProcessState::Exited { exit } if exit.setup_error.is_some() => {
            Err(Trouble::Fatal { reason: "sandbox_setup".into(), message: exit.describe() })
        }
        _ => Ok(Next::In(Duration::ZERO)),
    }
}

/// The rest of a back-off, when there is any.
fn remaining(until: Instant) -> Option<Duration> {
    until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
}

/// What the driver is asked to run, with the instance's own secrets in it.
pub(super) async fn render(pass: &Pass<'_>) -> Result<reef_driver::Workload, Trouble> {
    let (hub, spec) = (pass.hub, &pass.row.spec);
    let (agent, secrets) = knowledge(pass).await?;
    let models = provider::models(hub);
    let input = RenderInput {
        spec,
        credential: &secrets.credential,
        broker_port: door::BROKER_PORT,
        broker_key: &secrets.broker_key,
        models: &models,
        egress_port: (spec.egress == reef_types::Egress::Open).then_some(door::EGRESS_PORT),
    };
    agent.render(&input).map_err(|err| fatal("render", err.to_string()))
}

/// The instance's kind of agent, and its own secrets. Without either there is nothing to wait for.
pub(super) async fn knowledge(pass: &Pass<'_>) -> Result<(Arc<dyn AgentKind>, InstanceSecrets), Trouble> {
    let (hub, spec) = (pass.hub, &pass.row.spec);
    let agent = hub.agents.get(spec.agent.kind.as_str()).cloned();
    let agent = agent
        .ok_or_else(|| fatal("agent_unknown", format!("this hub does not know the agent `{}`", spec.agent.kind)))?;
    let secrets = instance_secret::load(hub, spec.id).await?.ok_or_else(|| {
        fatal("credential_missing", "the instance's credential is gone; remove it and create it anew".into())
    })?;
    Ok((agent, secrets))
}

fn fatal(reason: &str, message: String) -> Trouble {
    Trouble::Fatal { reason: reason.to_owned(), message }
}
