//! The supervising link against a gateway that behaves well, badly and not at all. Time is paused: waits cost nothing, and
//! a wait that never ends fails the test by its limit.

use std::{sync::Arc, time::Duration};

use reef_driver::{AgentCredential, AgentError, AgentKind, AgentLink, LinkState};
use reef_openclaw::{
    OpenClaw,
    link::{GatewayLink, Suspension},
    testing::{Behaviour, FakeGateway},
};
use reef_types::{
    InstanceId,
    chat::{ChatChange, ChatEvent, ChatItem, ChatRole},
};
use tokio::{
    sync::{broadcast, watch},
    time::{Instant, timeout},
};

const SESSION: &str = "agent:main:main";

/// Limit for what must happen, in paused time.
const PATIENCE: Duration = Duration::from_secs(600);

struct Lab {
    credential: AgentCredential,
    gateway: FakeGateway,
    link: Arc<GatewayLink>,
    state: watch::Receiver<LinkState>,
    events: broadcast::Receiver<ChatEvent>,
}

fn lab(behaviour: Behaviour) -> Lab {
    let credential = OpenClaw.new_credential();
    let gateway = FakeGateway::new(&credential).unwrap();
    gateway.behave(behaviour);
    lab_with(credential, gateway)
}

fn lab_with(credential: AgentCredential, gateway: FakeGateway) -> Lab {
    let link = Arc::new(GatewayLink::start(InstanceId::new(), &credential, gateway.dial()));
    Lab { state: link.state(), events: link.events(), credential, gateway, link }
}

async fn ready_lab() -> Lab {
    let mut lab = lab(Behaviour::Good);
    lab.until(|state| *state == LinkState::Ready).await;
    lab
}

impl Lab {
    async fn until(&mut self, wanted: impl FnMut(&LinkState) -> bool) {
        timeout(PATIENCE, self.state.wait_for(wanted)).await.expect("the state is reached").unwrap();
    }

    async fn until_error(&mut self, part: &str) {
        let has_part =
            |state: &LinkState| matches!(state, LinkState::Connecting { last_error: Some(err) } if err.contains(part));
        let seen = timeout(PATIENCE, self.state.wait_for(has_part)).await.map(drop);
        assert!(seen.is_ok(), "{part}: {:?}", self.state.borrow());
    }

    async fn next(&mut self) -> ChatChange {
        let event = timeout(PATIENCE, self.events.recv()).await.expect("an event comes").unwrap();
        assert_eq!(event.session, SESSION);
        event.change
    }

    /// All changes up to and with the reload that follows the turn's end.
    async fn turn(&mut self) -> Vec<ChatChange> {
        let mut changes = Vec::new();
        let is_over = |changes: &[ChatChange]| {
            changes.last() == Some(&ChatChange::Reload)
                && changes.iter().any(|change| matches!(change, ChatChange::Run(run) if run.is_settled()))
        };
        while !is_over(&changes) {
            changes.push(self.next().await);
        }
        changes
    }

    async fn history(&self) -> Vec<ChatItem> {
        self.link.history("main", 50).await.unwrap()
    }
}

fn phases(changes: &[ChatChange]) -> Vec<&str> {
    changes
        .iter()
        .filter_map(|change| match change {
            ChatChange::Run(run) => Some(run.phase.as_str()),
            _ => None,
        })
        .collect()
}

/// The items as they stand after all changes.
fn items(changes: &[ChatChange]) -> Vec<ChatItem> {
    let mut items: Vec<ChatItem> = Vec::new();
    for change in changes {
        if let ChatChange::Item(item) = change {
            match items.iter_mut().find(|known| known.id == item.id) {
                Some(known) => *known = item.clone(),
                None => items.push(item.clone()),
            }
        }
    }
    items
}

fn words(items: &[ChatItem]) -> Vec<(ChatRole, &str)> {
    items.iter().map(|item| (item.role, item.text.as_str())).collect()
}

#[tokio::test(start_paused = true)]
async fn a_turn_from_send_to_history() {
    let mut lab = ready_lab().await;
    assert_eq!(lab.link.send("main", "good morning", "key-1").await, Ok("key-1".to_owned()));
    let changes = lab.turn().await;
    assert_eq!(phases(&changes).last(), Some(&"done"));
    let history = lab.history().await;
    assert_eq!(words(&history), [(ChatRole::User, "good morning"), (ChatRole::Assistant, "Echo: good morning")]);
    assert_eq!(items(&changes), history, "what was shown live is what history says, ids included");
    assert_eq!(history[0].id, "key-1:user");
}

#[tokio::test(start_paused = true)]
async fn tools_and_failures() {
    let mut lab = ready_lab().await;
    lab.link.send("main", "tool please", "key-1").await.unwrap();
    let changes = lab.turn().await;
    let history = lab.history().await;
    assert_eq!(
        words(&history)[1..],
        [(ChatRole::Assistant, "I will look."), (ChatRole::Tool, "ls\nout"), (ChatRole::Assistant, "Tool said: out")]
    );
    assert_eq!(words(&items(&changes)), words(&history));

    lab.link.send("main", "fail now", "key-2").await.unwrap();
    let changes = lab.turn().await;
    assert_eq!(phases(&changes).last(), Some(&"failed"));
    assert_eq!(words(&lab.history().await).last(), Some(&(ChatRole::Error, "LLM request failed.")));
}

#[tokio::test(start_paused = true)]
async fn the_same_key_never_runs_twice() {
    let mut lab = ready_lab().await;
    for _ in 0..2 {
        assert_eq!(lab.link.send("main", "once", "key-1").await, Ok("key-1".to_owned()));
    }
    lab.turn().await;
    lab.gateway.restart();
    lab.until(|state| matches!(state, LinkState::Connecting { .. })).await;
    lab.until(|state| *state == LinkState::Ready).await;
    assert_eq!(lab.link.send("main", "once", "key-1").await, Ok("key-1".to_owned()));
    assert_eq!(lab.link.is_busy().await, Ok(false));
    assert_eq!(lab.history().await.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn abort_keeps_what_was_said() {
    let mut lab = ready_lab().await;
    lab.link.send("main", "hold on for me", "key-1").await.unwrap();
    while !matches!(lab.next().await, ChatChange::Item(item) if item.text == "Echo: hold") {}
    assert_eq!(lab.link.is_busy().await, Ok(true));
    lab.link.abort("main").await.unwrap();
    assert_eq!(phases(&lab.turn().await).last(), Some(&"aborted"));
    assert_eq!(words(&lab.history().await).last(), Some(&(ChatRole::Assistant, "Echo: hold")));
    assert_eq!(lab.link.is_busy().await, Ok(false));
}

#[tokio::test(start_paused = true)]
async fn messages_from_elsewhere_come_live() {
    let mut lab = ready_lab().await;
    lab.gateway.say_elsewhere("main", "from the phone");
    let ChatChange::Item(item) = lab.next().await else { panic!("not an item") };
    assert_eq!((item.role, item.text.as_str()), (ChatRole::User, "from the phone"));
    assert_eq!(lab.history().await, [item]);
}

#[tokio::test(start_paused = true)]
async fn a_turn_survives_the_loss_of_the_connection() {
    let mut lab = ready_lab().await;
    lab.link.send("main", "hold on for me", "key-1").await.unwrap();
    while !matches!(lab.next().await, ChatChange::Item(item) if item.text == "Echo: hold") {}
    lab.gateway.restart();
    lab.until(|state| matches!(state, LinkState::Connecting { .. })).await;
    lab.until(|state| *state == LinkState::Ready).await;
    assert!(lab.history().await.last().is_some_and(|item| item.streaming && item.text == "Echo: hold"));
    lab.gateway.release();
    let changes = lab.turn().await;
    assert_eq!(changes[0], ChatChange::Reload, "messages may have been missed");
    assert_eq!(words(&lab.history().await).last(), Some(&(ChatRole::Assistant, "Echo: hold on for me")));
}

#[tokio::test(start_paused = true)]
async fn long_messages_are_whole_live_and_in_history() {
    let mut lab = ready_lab().await;
    let answer: String = (1..=1_200).map(|n| format!("word{n} ")).collect();
    let answer = answer.trim_end();
    lab.link.send("main", "long:1200", "key-1").await.unwrap();
    let changes = lab.turn().await;
    for change in &changes {
        if let ChatChange::Item(item) = change
            && item.role == ChatRole::Assistant
        {
            assert!(answer.starts_with(&item.text), "…{}", &item.text[item.text.len().saturating_sub(50)..]);
        }
    }
    assert_eq!(words(&lab.history().await), [(ChatRole::User, "long:1200"), (ChatRole::Assistant, answer)]);

    let question = "é".repeat(9_000);
    lab.link.send("main", &question, "key-2").await.unwrap();
    lab.turn().await;
    let history = lab.history().await;
    let echo = format!("Echo: {question}");
    assert_eq!(words(&history)[2..], [(ChatRole::User, question.as_str()), (ChatRole::Assistant, echo.as_str())]);
    assert!(history.iter().all(|item| !item.streaming));

    let fresh = lab_with(lab.credential.clone(), lab.gateway.clone());
    let mut state = fresh.state.clone();
    timeout(PATIENCE, state.wait_for(|state| *state == LinkState::Ready)).await.unwrap().unwrap();
    assert_eq!(fresh.history().await, history);

    lab.gateway.say_elsewhere("main", &question);
    let shown = lab.next().await;
    let ChatChange::Item(item) = shown else { panic!("not an item: {shown:?}") };
    assert!(item.streaming && question.starts_with(&item.text), "more of it comes");
    assert_eq!(lab.next().await, ChatChange::Reload);
    assert_eq!(lab.history().await.last().map(|item| (&item.text, item.streaming)), Some((&question, false)));
}

#[tokio::test(start_paused = true)]
async fn a_retried_answer_is_there_once() {
    let mut lab = ready_lab().await;
    lab.link.send("main", "retry it all", "key-1").await.unwrap();
    let changes = lab.turn().await;
    assert!(phases(&changes).contains(&"retrying"), "{changes:?}");
    let history = lab.history().await;
    assert_eq!(words(&history), [(ChatRole::User, "retry it all"), (ChatRole::Assistant, "Echo: retry it all")]);
    assert_eq!(items(&changes), history);
}

#[tokio::test(start_paused = true)]
async fn a_turn_that_a_crash_cut_off_goes_on_as_the_same_turn() {
    let mut lab = ready_lab().await;
    lab.link.send("main", "hold on for me", "key-1").await.unwrap();
    while !matches!(lab.next().await, ChatChange::Item(item) if item.text == "Echo: hold") {}
    lab.gateway.crash();
    lab.until(|state| matches!(state, LinkState::Connecting { .. })).await;
    lab.until(|state| *state == LinkState::Ready).await;
    // A hub's link ends with the process it watched; the next one knows nothing of the turn.
    let mut fresh = lab_with(lab.credential.clone(), lab.gateway.clone());
    fresh.until(|state| *state == LinkState::Ready).await;
    fresh.history().await;
    for lab in [&mut lab, &mut fresh] {
        while !matches!(lab.next().await, ChatChange::Item(item) if item.role == ChatRole::System) {}
        while !matches!(lab.next().await, ChatChange::Item(item) if item.text == "Echo: hold") {}
    }
    lab.gateway.release();
    for lab in [&mut lab, &mut fresh] {
        let changes = lab.turn().await;
        let runs = changes.iter().filter_map(|change| match change {
            ChatChange::Run(run) => Some((run.id.as_str(), run.phase.as_str())),
            _ => None,
        });
        assert_eq!(runs.collect::<Vec<_>>(), [("key-1", "done")]);
    }
    let history = lab.history().await;
    let ids: Vec<&str> = history.iter().map(|item| item.id.as_str()).collect();
    assert_eq!((history.len(), ids[0], ids[2]), (3, "key-1:user", "key-1:1"), "{ids:?}");
    assert_eq!(history[1].role, ChatRole::System);
    assert_eq!(history[2].text, "Echo: hold on for me");
    assert_eq!(fresh.history().await, history);
}

#[tokio::test(start_paused = true)]
async fn refusals_do_not_quote_the_token() {
    let lab = ready_lab().await;
    let refused = lab.link.history("gone", 5).await;
    assert_eq!(refused, Err(AgentError::Refused("no such session for [secret]".to_owned())));
}

#[tokio::test(start_paused = true)]
async fn a_hub_that_starts_in_mid_answer_shows_the_turn_going_on() {
    let mut lab = ready_lab().await;
    lab.link.send("main", "hold on for me", "key-1").await.unwrap();
    while !matches!(lab.next().await, ChatChange::Item(item) if item.text == "Echo: hold") {}

    let mut other = lab_with(lab.credential.clone(), lab.gateway.clone());
    other.until(|state| *state == LinkState::Ready).await;
    let first = [other.next().await, other.next().await, other.next().await];
    assert_eq!(first[0], ChatChange::Reload);
    assert_eq!(phases(&first), ["answering"]);
    assert_eq!(words(&items(&first)), [(ChatRole::Assistant, "Echo: hold")]);
    lab.gateway.release();
    let changes = other.turn().await;
    assert_eq!(words(&items(&changes)).last(), Some(&(ChatRole::Assistant, "Echo: hold on for me")));
}

#[tokio::test(start_paused = true)]
async fn one_session_that_cannot_be_read_does_not_keep_the_link_down() {
    let mut lab = ready_lab().await;
    lab.gateway.say_elsewhere("gone", "x");
    assert!(timeout(PATIENCE, lab.events.recv()).await.is_ok());
    lab.gateway.restart();
    lab.until(|state| matches!(state, LinkState::Connecting { .. })).await;
    lab.until(|state| *state == LinkState::Ready).await;
    assert_eq!(lab.gateway.attempts(), 2);
    let event = timeout(PATIENCE, lab.events.recv()).await.unwrap().unwrap();
    assert_eq!((event.session.as_str(), event.change), ("agent:main:gone", ChatChange::Reload));
}

#[tokio::test(start_paused = true)]
async fn ready_means_that_the_gateway_says_so() {
    let mut lab = lab(Behaviour::NeverReady);
    let early = timeout(Duration::from_secs(120), lab.state.wait_for(|state| *state == LinkState::Ready)).await.is_ok();
    assert!(!early);
    assert_eq!(lab.gateway.attempts(), 1, "the connection is kept meanwhile");
    lab.gateway.behave(Behaviour::Good);
    lab.until(|state| *state == LinkState::Ready).await;
}

#[tokio::test(start_paused = true)]
async fn bad_gateways_are_named_and_left_in_peace() {
    for (behaviour, error, minutes, tries_max) in [
        (Behaviour::Away, "cannot be reached", 30, 500),
        (Behaviour::Hanging, "did not answer within 20s (upgrade)", 10, 32),
        (Behaviour::Starting { retry_after_ms: 500 }, "gateway starting", 1, 130),
        (Behaviour::RateLimited { retry_after_ms: 300_000 }, "too many failed attempts", 10, 3),
        (Behaviour::Locked, "AUTH_TOKEN_MISMATCH", 10, 45),
        (Behaviour::Powerless, "no administrator rights", 10, 45),
        (Behaviour::Suspended, "suspending", 10, 2),
        (Behaviour::Foreign, "speaks protocol 5, this build speaks 4", 10, 45),
        (Behaviour::Garbage, "not a frame", 30, 500),
        (Behaviour::Silent, "was silent for 12s", 10, 60),
    ] {
        let mut lab = lab(behaviour);
        lab.until_error(error).await;
        let wait = Duration::from_secs(60 * minutes);
        let _ = timeout(wait, lab.state.wait_for(|state| *state == LinkState::Ready)).await;
        let tries = lab.gateway.attempts();
        assert!(tries >= 1 && tries <= tries_max, "{behaviour:?}: {tries} tries in {minutes} minutes");
        assert!(lab.link.sessions().await.is_err(), "{behaviour:?}");

        lab.gateway.behave(Behaviour::Good);
        lab.until(|state| *state == LinkState::Ready).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_starting_gateway_is_not_kept_waiting() {
    let mut lab = lab(Behaviour::Away);
    lab.until_error("cannot be reached").await;
    let _ = timeout(Duration::from_secs(20), lab.state.wait_for(|state| *state == LinkState::Ready)).await;
    lab.gateway.behave(Behaviour::Good);
    let since = Instant::now();
    lab.until(|state| *state == LinkState::Ready).await;
    assert!(since.elapsed() < Duration::from_secs(1), "{:?}", since.elapsed());
}

#[tokio::test(start_paused = true)]
async fn device_tokens_are_used_and_given_up() {
    let mut lab = ready_lab().await;
    // The shared token is locked out, the device is not.
    lab.gateway.behave(Behaviour::RateLimited { retry_after_ms: 300_000 });
    lab.gateway.restart();
    lab.until(|state| matches!(state, LinkState::Connecting { .. })).await;
    let since = Instant::now();
    lab.until(|state| *state == LinkState::Ready).await;
    assert!(since.elapsed() < Duration::from_secs(5));
    // The gateway forgot the device: the shared token is the way back.
    lab.gateway.behave(Behaviour::Good);
    lab.gateway.forget_devices();
    lab.gateway.restart();
    lab.until(|state| matches!(state, LinkState::Connecting { .. })).await;
    lab.until(|state| *state == LinkState::Ready).await;
}

#[tokio::test(start_paused = true)]
async fn calls_end_with_the_connection_or_with_their_limit() {
    let mut lab = lab(Behaviour::Deaf);
    lab.until(|state| *state == LinkState::Ready).await;
    let since = Instant::now();
    assert_eq!(lab.link.history("main", 5).await, Err(AgentError::Timeout));
    assert!(since.elapsed() >= Duration::from_secs(30));

    let link = lab.link.clone();
    let waiting = tokio::spawn(async move { link.history("main", 5).await });
    tokio::task::yield_now().await;
    let since = Instant::now();
    lab.gateway.close_all(1012);
    assert_eq!(waiting.await.unwrap(), Err(AgentError::NotConnected));
    assert!(since.elapsed() < Duration::from_secs(1), "at once, not at the limit");
}

#[tokio::test(start_paused = true)]
async fn suspension_sessions_and_health() {
    let lab = ready_lab().await;
    assert_eq!(lab.link.suspend("req-1").await, Ok(Suspension::Ready { suspension_id: "s-1".to_owned() }));
    assert_eq!(lab.link.resume("s-1").await, Ok(()));
    assert_eq!(lab.link.health().await.unwrap()["ok"], true);
    lab.gateway.say_elsewhere("notes", "x");
    let sessions = lab.link.sessions().await.unwrap();
    assert_eq!(sessions[0].key, lab.link.session_key("Notes"));
    assert_eq!(sessions[0].model.as_deref(), Some("echo/echo-1"));
}

#[tokio::test(start_paused = true)]
async fn a_dropped_link_lets_go() {
    let Lab { link, gateway, mut state, .. } = ready_lab().await;
    drop(link);
    assert!(timeout(PATIENCE, state.changed()).await.expect("the task ends").is_err());
    assert_eq!(gateway.attempts(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_credential_that_cannot_be_read_is_said() {
    let gateway = FakeGateway::new(&OpenClaw.new_credential()).unwrap();
    let broken = AgentCredential("?".to_owned().into());
    let link = GatewayLink::start(InstanceId::new(), &broken, gateway.dial());
    let mut state = link.state();
    let said = timeout(
        PATIENCE,
        state.wait_for(
            |state| matches!(state, LinkState::Connecting { last_error: Some(err) } if err.contains("credential")),
        ),
    );
    assert!(said.await.is_ok());
    assert_eq!(gateway.attempts(), 0);
}
