//! Follows the turns of all sessions of one gateway, from its events and from pages of history.
//!
//! The words of a turn come twice: growing in events, then as a row of the transcript. A row may come after the event that
//! ends the turn (always so when the turn failed or was aborted), so `Reload` waits for the row, within a limit.

use std::{collections::HashMap, time::Duration};

use jiff::Timestamp;
use reef_types::chat::{ChatChange, ChatEvent, ChatItem, ChatRole, ChatRun};
use serde::Deserialize;
use serde_json::Value;
use tokio::time::Instant;

use super::{
    rows::{self, Projection, Row},
    text,
};
use crate::gateway::{
    frame::Event,
    methods::{HistoryPage, SessionInfo},
};

mod run;

use run::{Phase, Run};

/// How long the row of a turn that is over may be missing before the history is read without it.
const ROW_WAIT: Duration = Duration::from_secs(3);

/// How long after the agent's own end of a turn the gateway may take to say so.
const END_WAIT: Duration = Duration::from_secs(5);

/// How long a turn is remembered after its end, for rows that come late.
const SETTLED_KEEP: Duration = Duration::from_secs(120);

/// Turns remembered at once; the one that was silent longest goes first.
const RUNS_MAX: usize = 256;

/// Sessions remembered for a reload after a reconnect; the oldest goes first.
const SESSIONS_MAX: usize = 256;

/// Longest id of anything that an agent names, in bytes; what has a longer one is passed over. Its own are a tenth of it.
const ID_BYTES_MAX: usize = 512;

/// The state of all turns.
#[derive(Debug, Default)]
pub(crate) struct Tracker {
    runs: HashMap<String, Run>,
    sessions: Vec<Session>,
    /// Runs that took up a turn after a restart of the gateway, and which run began it.
    taken_up: HashMap<String, String>,
}

/// A session that somebody looked at or that something happened in.
#[derive(Debug)]
struct Session {
    key: String,
    /// The turn that the last message started.
    last_turn: Option<String>,
}

/// An event of `chat`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ChatPayload {
    run_id: String,
    session_key: String,
    state: String,
    #[serde(default)]
    message: Value,
    delta_text: Option<String>,
    #[serde(default)]
    replace: bool,
    error_message: Option<String>,
    #[serde(default)]
    retry: Value,
}

/// An event of `agent` or `session.tool`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct AgentPayload {
    run_id: String,
    session_key: Option<String>,
    stream: String,
    #[serde(default)]
    data: Value,
    #[serde(default)]
    is_heartbeat: bool,
}

/// An event of `session.message`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct MessagePayload {
    session_key: String,
    message: Value,
}

impl Tracker {
    /// What an event of the gateway means for the conversations. Unknown events mean nothing.
    pub(crate) fn on_event(&mut self, event: &Event, now: Instant) -> Vec<ChatEvent> {
        let payload = &event.payload;
        let changes = match event.event.as_str() {
            "chat" => ChatPayload::deserialize(payload)
                .ok()
                .filter(|chat| is_id(&chat.run_id) && is_id(&chat.session_key))
                .map(|chat| self.on_chat(chat, now)),
            "agent" | "session.tool" => AgentPayload::deserialize(payload)
                .ok()
                .filter(|agent| is_id(&agent.run_id) && agent.session_key.as_deref().is_none_or(is_id))
                .map(|agent| self.on_agent(agent, now)),
            "session.message" => MessagePayload::deserialize(payload)
                .ok()
                .filter(|row| is_id(&row.session_key))
                .map(|row| self.on_row(&row, now)),
            _ => None,
        };
        changes.unwrap_or_default()
    }

    /// A turn was asked for and accepted.
    pub(crate) fn on_sent(&mut self, session: &str, run_id: &str, now: Instant) -> Vec<ChatEvent> {
        let run = self.run(session, run_id, now);
        if run.is_new() { run.enter(Phase::Queued, None) } else { Vec::new() }
    }

    /// What became due. To be called about once a second.
    pub(crate) fn on_tick(&mut self, now: Instant) -> Vec<ChatEvent> {
        let due = self.runs.values_mut().flat_map(|run| run.on_tick(now)).collect();
        self.runs.retain(|_, run| !run.is_forgotten(now));
        due
    }

    /// A page of history as items, with what a turn that goes on has said so far, and what the page says about that turn.
    pub(crate) fn on_history(
        &mut self,
        session: &str,
        page: &HistoryPage,
        now: Instant,
    ) -> (Vec<ChatItem>, Vec<ChatEvent>) {
        self.session(session);
        let flight = page.in_flight_run.as_ref().filter(|flight| !flight.run_id.is_empty());
        let open_run = flight.map(|flight| flight.run_id.as_str());
        let Projection { mut items, assistant_rows, last_turn, taken_up } =
            rows::project(&page.messages, page.has_more, open_run);
        if last_turn.is_some() {
            self.session(session).last_turn = last_turn;
        }
        let mut events = Vec::new();
        for (run, first) in taken_up {
            if self.take_up(&run, &first) && open_run == Some(run.as_str()) {
                events.extend(self.run(session, &first, now).reopen());
            }
        }
        if let Some(flight) = flight {
            let run_id = self.taken_up.get(&flight.run_id).unwrap_or(&flight.run_id);
            let known = assistant_rows.get(run_id).map(Vec::as_slice).unwrap_or_default();
            let run = self.run(session, &flight.run_id, now);
            if !run.is_settled() {
                events.extend(run.catch_up(known, &items, &flight.text));
            }
        }
        for run in self.runs.values().filter(|run| run.session == session && !run.is_settled()) {
            for item in run.live_items() {
                // A finished item of the page is newer than what events have told so far.
                if !items.iter().any(|known| known.id == item.id && !known.streaming) {
                    rows::put(&mut items, item.clone());
                }
            }
        }
        (items, events)
    }

    /// After a reconnect: like `on_history`, and turns that ended in the meantime are ended here too.
    pub(crate) fn on_resync(&mut self, session: &str, page: &HistoryPage, now: Instant) -> Vec<ChatEvent> {
        let mut events = vec![change(session, ChatChange::Reload)];
        if page.in_flight_run.is_none() && page.session_info.status.as_deref() != Some("running") {
            for run in self.runs.values_mut().filter(|run| run.session == session && run.is_active()) {
                let phase = run.outcome(&page.session_info);
                let why = (phase != Phase::Done).then(|| "the turn ended while the agent was out of reach".to_owned());
                events.extend(run.settle(phase, why, false, now));
            }
        }
        // Listeners may have been told that nothing is known any more.
        let open = self.runs.values().filter(|run| run.session == session && run.is_active());
        events.extend(open.map(Run::announce));
        let (items, more) = self.on_history(session, page, now);
        events.extend(more);
        let live = items.into_iter().filter(|item| item.streaming);
        events.extend(live.map(|item| change(session, ChatChange::Item(item))));
        events
    }

    /// Sessions that somebody looked at or that something happened in.
    pub(crate) fn known_sessions(&self) -> Vec<String> {
        self.sessions.iter().map(|session| session.key.clone()).collect()
    }

    fn on_chat(&mut self, chat: ChatPayload, now: Instant) -> Vec<ChatEvent> {
        let run = self.run(&chat.session_key, &chat.run_id, now);
        if run.is_settled() {
            // A failure is announced twice.
            return Vec::new();
        }
        let said = text::of_content(&chat.message["content"]);
        let has_words = !text::assistant(&said).is_empty();
        match chat.state.as_str() {
            "status" => match chat.retry {
                Value::Null => run.enter(Phase::Preparing, None),
                retry => run.enter(Phase::Retrying, retry_message(&retry)),
            },
            "delta" => run.on_chat_text(chat.message.is_object().then_some(said), chat.delta_text, chat.replace),
            "final" => run.settle(Phase::Done, None, has_words, now),
            "aborted" => run.settle(Phase::Aborted, chat.error_message, has_words, now),
            "error" => run.settle(Phase::Failed, chat.error_message, true, now),
            _ => Vec::new(),
        }
    }

    fn on_agent(&mut self, agent: AgentPayload, now: Instant) -> Vec<ChatEvent> {
        let Some(session) = agent.session_key.filter(|_| !agent.is_heartbeat) else { return Vec::new() };
        let run = self.run(&session, &agent.run_id, now);
        if run.is_settled() {
            return Vec::new();
        }
        let data = &agent.data;
        match agent.stream.as_str() {
            "run_status" if data["phase"] == "retrying" => run.enter(Phase::Retrying, retry_message(data)),
            "run_status" => run.enter(Phase::Preparing, None),
            "assistant" => run.on_words(data),
            "item" if data["kind"] == "preamble" => run.on_preamble(data),
            "thinking" => run.on_thinking(data),
            "tool" => run.on_tool(data),
            "lifecycle" => {
                run.on_lifecycle(data, now);
                Vec::new()
            }
            _ => Vec::new(),
        }
    }

    fn on_row(&mut self, payload: &MessagePayload, now: Instant) -> Vec<ChatEvent> {
        let session = &payload.session_key;
        let Some(mut row) = Row::parse(&payload.message).filter(Row::has_plain_ids) else { return Vec::new() };
        let run = row.run_id().map(str::to_owned);
        if row.starts_turn() {
            self.session(session).last_turn.clone_from(&run);
        }
        let first = self.session(session).last_turn.clone().filter(|_| row.takes_up_turn());
        let mut events = Vec::new();
        if let (Some(run), Some(first)) = (&run, &first)
            && self.take_up(run, first)
        {
            events = self.run(session, first, now).reopen();
        }
        match run.map(|run| self.taken_up.get(&run).cloned().unwrap_or(run)) {
            Some(run) => {
                row.move_to(&run);
                events.extend(self.run(session, &run, now).on_row(&row));
                events
            }
            None => {
                let mut items = Vec::new();
                rows::add_items(&mut items, &row, None, false);
                if row.lacks_words() {
                    items.iter_mut().for_each(rows::leave_open);
                }
                let shown = items.into_iter().map(|item| change(session, ChatChange::Item(item)));
                let reload = row.lacks_words().then(|| change(session, ChatChange::Reload));
                shown.chain(reload).collect()
            }
        }
    }

    /// From now on, what a run does is done by the one that began its turn. False when that is known already.
    fn take_up(&mut self, run: &str, first: &str) -> bool {
        if self.taken_up.len() >= RUNS_MAX {
            self.taken_up.clear();
        }
        if run == first || self.taken_up.contains_key(run) {
            return false;
        }
        self.taken_up.insert(run.to_owned(), first.to_owned());
        self.runs.remove(run);
        true
    }

    fn run(&mut self, session: &str, run_id: &str, now: Instant) -> &mut Run {
        self.session(session);
        let run_id = &self.taken_up.get(run_id).cloned().unwrap_or_else(|| run_id.to_owned());
        if !self.runs.contains_key(run_id) && self.runs.len() >= RUNS_MAX {
            let oldest = self.runs.iter().min_by_key(|(_, run)| run.touched).map(|(id, _)| id.clone());
            oldest.and_then(|id| self.runs.remove(&id));
        }
        let run = self.runs.entry(run_id.to_owned()).or_insert_with(|| Run::new(run_id, session, now));
        run.touched = now;
        run
    }

    fn session(&mut self, key: &str) -> &mut Session {
        let index = self.sessions.iter().position(|known| known.key == key).unwrap_or_else(|| {
            if self.sessions.len() >= SESSIONS_MAX {
                self.sessions.remove(0);
            }
            self.sessions.push(Session { key: key.to_owned(), last_turn: None });
            self.sessions.len() - 1
        });
        &mut self.sessions[index]
    }
}

pub(super) fn is_id(text: &str) -> bool {
    text.len() <= ID_BYTES_MAX
}

fn change(session: &str, change: ChatChange) -> ChatEvent {
    ChatEvent { session: session.to_owned(), change }
}

/// `retry 2 of 8`, from whichever of the two spellings the gateway uses.
fn retry_message(retry: &Value) -> Option<String> {
    let number = |names: [&str; 2]| names.iter().find_map(|name| retry[*name].as_u64());
    let attempt = number(["attempt", "retryAttempt"])?;
    Some(match number(["maxAttempts", "maxRetries"]) {
        Some(max) => format!("retry {attempt} of {max}"),
        None => format!("retry {attempt}"),
    })
}

#[cfg(test)]
mod tests;
