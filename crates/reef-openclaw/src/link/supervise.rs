//! The task behind a link: connect, bring up, serve until the connection is lost, wait, again.

use std::{collections::HashSet, sync::Arc, time::Duration};

use reef_driver::{AgentError, Dial, LinkState};
use reef_types::chat::{ChatChange, ChatEvent};
use secrecy::SecretString;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};

use super::{Names, Shared, backoff::Backoff};
use crate::{
    credential::{Credential, CredentialError},
    gateway::{
        connect::Hello,
        error::{ConnectError, Outlook},
        frame::Event,
        ready,
        rpc::{self, Disconnect, Pump, Rpc},
        secrets::Secrets,
        socket,
    },
};

/// Time between two questions whether the gateway is ready, once connected.
const READY_POLL: Duration = Duration::from_millis(250);

/// Time between two looks at what became due in the conversations.
const TRACKER_TICK: Duration = Duration::from_secs(1);

/// Pause before asking again what the gateway refused to say.
const REFUSED_PAUSE: Duration = Duration::from_secs(1);

/// A connection that lasted so long was a good one: the next failure starts over with short waits.
const STABLE_AFTER: Duration = Duration::from_secs(10);

/// Items of history read per session after a reconnect, for finding out about turns that go on.
const RESYNC_ITEMS: usize = 100;

/// Sessions looked at after a reconnect.
const RESYNC_SESSIONS_MAX: usize = 32;

/// How one connection ended.
struct End {
    why: String,
    outlook: Outlook,
    retry_after: Option<Duration>,
}

impl From<ConnectError> for End {
    fn from(err: ConnectError) -> Self {
        Self { why: err.to_string(), outlook: err.outlook(), retry_after: err.retry_after() }
    }
}

/// Keeps the link alive; ends only with the task.
pub(super) async fn run(shared: Arc<Shared>, credential: Result<Credential, CredentialError>, dial: Arc<dyn Dial>) {
    let mut backoff = Backoff::default();
    let mut device_token = None;
    loop {
        let started = Instant::now();
        let end = match &credential {
            Ok(credential) => connect_and_serve(&shared, credential, &*dial, &mut device_token).await,
            Err(err) => ConnectError::from(err.clone()).into(),
        };
        *shared.connection.write() = None;
        if started.elapsed() >= STABLE_AFTER {
            backoff.reset();
        }
        let wait = backoff.next(end.outlook, end.retry_after);
        tracing::debug!(instance = %shared.id, wait_ms = wait.as_millis(), "gateway link down: {}", end.why);
        shared.state.send_replace(LinkState::Connecting { last_error: Some(end.why) });
        sleep(wait).await;
    }
}

/// Waits until there is a connection, for at most `limit`.
pub(super) async fn connection(shared: &Shared, limit: Duration) -> Result<Rpc, AgentError> {
    if let Ok(rpc) = shared.rpc() {
        return Ok(rpc);
    }
    let mut state = shared.state.subscribe();
    let ready = timeout(limit, state.wait_for(|state| *state == LinkState::Ready)).await;
    ready.map_err(|_| AgentError::NotConnected)?.map_err(|_| AgentError::NotConnected)?;
    shared.rpc()
}

async fn connect_and_serve(
    shared: &Shared,
    credential: &Credential,
    dial: &dyn Dial,
    device_token: &mut Option<SecretString>,
) -> End {
    let tried = device_token.clone();
    let (socket, hello) = match socket::open(dial, shared.id, credential, tried.as_ref()).await {
        Ok(opened) => opened,
        Err(err) => {
            // The gateway may have forgotten the device; the shared token is tried next.
            let rejected = matches!(&err, ConnectError::Refused(refusal) if refusal.is_bad_credential());
            let retry_now = rejected && device_token.take().is_some();
            let end = End::from(Secrets::new([credential.token()].into_iter().chain(&tried)).failed(err));
            return if retry_now { End { outlook: Outlook::Soon, ..end } } else { end };
        }
    };
    tracing::debug!(instance = %shared.id, version = hello.server_version, "gateway link up");
    let Hello { device_token: issued, default_agent, main_session, tick, .. } = hello;
    if issued.is_some() {
        *device_token = issued;
    }
    *shared.names.write() = Names { agent: default_agent, main_session };
    let secrets = Secrets::new([credential.token()].into_iter().chain(&tried).chain(&*device_token));
    let (rpc, pump) = rpc::channel(socket, tick, secrets.clone());
    *shared.connection.write() = Some(rpc.clone());
    let disconnect = tokio::select! {
        disconnect = serve(shared, pump) => disconnect,
        Err(err) = bring_up(shared, &rpc, dial) => Disconnect::Broken(err.to_string()),
        () = follow_time(shared) => Disconnect::Unused,
    };
    End { why: secrets.cover(&disconnect.to_string()), outlook: Outlook::Soon, retry_after: None }
}

/// Handles events until the connection ends.
async fn serve(shared: &Shared, pump: Pump) -> Disconnect {
    let mut last_seq = None;
    pump.run(|event| {
        if let (Some(last), Some(seq)) = (last_seq, event.seq)
            && seq > last + 1
        {
            // The gateway drops events that we are too slow for.
            reload_all(shared);
        }
        last_seq = event.seq.or(last_seq);
        on_event(shared, &event);
    })
    .await
}

fn on_event(shared: &Shared, event: &Event) {
    if event.event == "shutdown" {
        let last_error = Some("the gateway is shutting down".to_owned());
        shared.state.send_replace(LinkState::Connecting { last_error });
    }
    let events = shared.tracker.lock().on_event(event, Instant::now());
    shared.publish(events);
}

/// Subscribes, finds out what goes on, waits until the gateway is ready. Does not end when all went well.
async fn bring_up(shared: &Shared, rpc: &Rpc, dial: &dyn Dial) -> Result<std::convert::Infallible, AgentError> {
    loop {
        match subscribe_and_resync(shared, rpc).await {
            Ok(()) => break,
            // It is suspended or not quite up; a new connection would hear the same.
            Err(err @ AgentError::Refused(_)) => {
                shared.state.send_replace(LinkState::Connecting { last_error: Some(err.to_string()) });
                sleep(REFUSED_PAUSE).await;
            }
            Err(err) => return Err(err),
        }
    }
    while !ready::is_ready(dial, shared.id).await {
        sleep(READY_POLL).await;
    }
    shared.state.send_replace(LinkState::Ready);
    std::future::pending().await
}

/// Asks for events, tells what changed while there was no connection, and takes up the turns that go on.
async fn subscribe_and_resync(shared: &Shared, rpc: &Rpc) -> Result<(), AgentError> {
    rpc.sessions_subscribe().await?;
    let running = rpc.sessions_list().await?.into_iter().filter(|row| row.has_active_run).map(|row| row.key);
    let known = shared.tracker.lock().known_sessions();
    let mut done = HashSet::new();
    for session in running.chain(known.into_iter().rev()) {
        if !done.insert(session.clone()) {
            continue;
        }
        let page = match done.len() {
            ..=RESYNC_SESSIONS_MAX => shared.history_page(rpc, &session, RESYNC_ITEMS).await.map(Some),
            _ => Ok(None),
        };
        let events = match page {
            Ok(Some(page)) => shared.tracker.lock().on_resync(&session, &page, Instant::now()),
            // One session that cannot be read, for instance because it was deleted, must not keep the link down.
            Ok(None) | Err(AgentError::Refused(_)) => vec![ChatEvent { session, change: ChatChange::Reload }],
            Err(err) => return Err(err),
        };
        shared.publish(events);
    }
    Ok(())
}

fn reload_all(shared: &Shared) {
    let known = shared.tracker.lock().known_sessions();
    shared.publish(known.into_iter().map(|session| ChatEvent { session, change: ChatChange::Reload }).collect());
}

async fn follow_time(shared: &Shared) {
    let mut ticks = interval(TRACKER_TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let now = ticks.tick().await;
        let due = shared.tracker.lock().on_tick(now);
        shared.publish(due);
    }
}
