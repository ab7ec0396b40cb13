//! One turn: its phase, the words that are still growing, and the rows that replaced them.

use super::*;

/// Tool calls of one turn that may be open at once; more than any agent makes.
const CALLS_MAX: usize = 64;

/// Items of one turn that may be growing at once; the oldest goes first.
const LIVE_MAX: usize = 64;

/// Text of all growing items of one turn, in bytes; beyond it the oldest is forgotten, until its row comes.
const LIVE_BYTES_MAX: usize = 2 * text::ITEM_BYTES_MAX;

/// Attempts of one turn, and messages that it leaves in the transcript; far more than any agent makes.
const ATTEMPTS_MAX: usize = 256;
const ROWS_MAX: usize = 4096;

/// Where a turn is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Only known by a row.
    Unknown,
    Queued,
    Preparing,
    Thinking,
    Answering,
    Retrying,
    Done,
    Failed,
    Aborted,
}

impl Phase {
    fn as_str(self) -> &'static str {
        match self {
            Phase::Unknown | Phase::Queued => "queued",
            Phase::Preparing => "preparing",
            Phase::Thinking => "thinking",
            Phase::Answering => "answering",
            Phase::Retrying => "retrying",
            Phase::Done => "done",
            Phase::Failed => "failed",
            Phase::Aborted => "aborted",
        }
    }

    fn is_settled(self) -> bool {
        matches!(self, Phase::Done | Phase::Failed | Phase::Aborted)
    }
}

#[derive(Debug)]
pub(super) struct Run {
    id: String,
    pub(super) session: String,
    phase: Phase,
    message: Option<String>,
    /// Transcript ids of the assistant's messages so far, in order.
    rows: Vec<String>,
    /// For each attempt of the agent, how many messages came before it; see [`Run::on_words`].
    attempts: HashMap<String, usize>,
    /// Items that no row has replaced yet.
    live: Vec<ChatItem>,
    /// Tool calls whose results are not in the transcript yet, as they were before any output.
    calls: Vec<ChatItem>,
    /// The words of the whole turn, when they come from `chat` events alone.
    pub(super) chat_text: String,
    has_agent_words: bool,
    /// When the agent said that it is done.
    ended: Option<Instant>,
    settled: Option<Instant>,
    /// When `Reload` goes out at the latest.
    reload_due: Option<Instant>,
    pub(super) touched: Instant,
}

impl Run {
    pub(super) fn new(id: &str, session: &str, now: Instant) -> Self {
        Self {
            id: id.to_owned(),
            session: session.to_owned(),
            phase: Phase::Unknown,
            message: None,
            rows: Vec::new(),
            attempts: HashMap::new(),
            live: Vec::new(),
            calls: Vec::new(),
            chat_text: String::new(),
            has_agent_words: false,
            ended: None,
            settled: None,
            reload_due: None,
            touched: now,
        }
    }

    pub(super) fn is_new(&self) -> bool {
        self.phase == Phase::Unknown
    }

    pub(super) fn is_settled(&self) -> bool {
        self.phase.is_settled()
    }

    /// Whether the turn is known to go on.
    pub(super) fn is_active(&self) -> bool {
        !self.is_new() && !self.is_settled()
    }

    pub(super) fn is_forgotten(&self, now: Instant) -> bool {
        self.reload_due.is_none() && self.settled.is_some_and(|at| now >= at + SETTLED_KEEP)
    }

    pub(super) fn live_items(&self) -> &[ChatItem] {
        &self.live
    }

    /// How the turn ended, by what the session says of its last one.
    pub(super) fn outcome(&self, info: &SessionInfo) -> Phase {
        match info.status.as_deref() {
            _ if info.last_run_id.as_deref() != Some(self.id.as_str()) => Phase::Done,
            Some("failed" | "timeout") => Phase::Failed,
            Some("killed") => Phase::Aborted,
            _ => Phase::Done,
        }
    }

    pub(super) fn enter(&mut self, phase: Phase, message: Option<String>) -> Vec<ChatEvent> {
        if (self.phase, &self.message) == (phase, &message) {
            return Vec::new();
        }
        (self.phase, self.message) = (phase, message);
        vec![self.announce()]
    }

    /// Where the turn is.
    pub(super) fn announce(&self) -> ChatEvent {
        let (id, phase) = (self.id.clone(), self.phase.as_str().to_owned());
        self.change(ChatChange::Run(ChatRun { id, phase, message: self.message.clone() }))
    }

    /// The gateway takes the turn up again after its own end, which may have looked like the turn's.
    pub(super) fn reopen(&mut self) -> Vec<ChatEvent> {
        let rows = std::mem::take(&mut self.rows);
        *self = Self { rows, ..Self::new(&self.id, &self.session, self.touched) };
        self.enter(Phase::Preparing, None)
    }

    /// Ends the turn. `expects_row` says that the transcript will have something that no row has shown yet.
    pub(super) fn settle(
        &mut self,
        phase: Phase,
        message: Option<String>,
        expects_row: bool,
        now: Instant,
    ) -> Vec<ChatEvent> {
        let mut events = self.enter(phase, message);
        self.settled = Some(now);
        let row_is_here = phase == Phase::Done && !self.rows.is_empty() && !self.has_open_words();
        self.live.clear();
        if expects_row && !row_is_here {
            self.reload_due = Some(now + ROW_WAIT);
        } else {
            events.push(self.change(ChatChange::Reload));
        }
        events
    }

    pub(super) fn on_tick(&mut self, now: Instant) -> Vec<ChatEvent> {
        if self.reload_due.is_some_and(|due| now >= due) {
            self.reload_due = None;
            return vec![self.change(ChatChange::Reload)];
        }
        match self.ended {
            Some(ended) if !self.is_settled() && now >= ended + END_WAIT => self.settle(Phase::Done, None, false, now),
            _ => Vec::new(),
        }
    }

    /// A piece of the assistant's current message. `itemId` is `<attempt>:<n>`, counting messages from 1 in each attempt;
    /// a retry is a new attempt, and what the earlier ones left in the transcript comes before it.
    pub(super) fn on_words(&mut self, data: &Value) -> Vec<ChatEvent> {
        let (Some(said), item) = (data["text"].as_str(), data["itemId"].as_str().unwrap_or_default()) else {
            return Vec::new();
        };
        self.has_agent_words = true;
        let (attempt, number) = item.rsplit_once(':').unwrap_or((item, "1"));
        self.on_numbered_words(attempt, number.parse().unwrap_or(1), said)
    }

    /// What the assistant says before it calls a tool, which may come as nothing but this.
    pub(super) fn on_preamble(&mut self, data: &Value) -> Vec<ChatEvent> {
        match (data["itemId"].as_str(), data["progressText"].as_str()) {
            (Some(item), Some(said)) => self.on_numbered_words(item, 1, said),
            _ => Vec::new(),
        }
    }

    fn on_numbered_words(&mut self, attempt: &str, number: usize, said: &str) -> Vec<ChatEvent> {
        let is_known = self.attempts.contains_key(attempt);
        if !is_id(attempt) || (!is_known && self.attempts.len() >= ATTEMPTS_MAX) || number > ROWS_MAX {
            return Vec::new();
        }
        let next = self.rows.len() + 1;
        let before = *self.attempts.entry(attempt.to_owned()).or_insert(next.saturating_sub(number));
        if before + number < next {
            // Late: the row is here already and knows better.
            return Vec::new();
        }
        self.show_words(before + number, said.to_owned())
    }

    /// The same from `chat`, for turns that no agent's words come from. All messages of the turn are joined there.
    pub(super) fn on_chat_text(&mut self, all: Option<String>, delta: Option<String>, replace: bool) -> Vec<ChatEvent> {
        match (all, delta) {
            (Some(all), _) => self.chat_text = all,
            (None, Some(delta)) if replace => self.chat_text = delta,
            (None, Some(delta)) => self.chat_text.push_str(&delta),
            (None, None) => return Vec::new(),
        }
        self.chat_text.truncate(self.chat_text.floor_char_boundary(text::ITEM_BYTES_MAX));
        // One event may be a hundred times as long, and a text that is cut keeps its room.
        self.chat_text.shrink_to(text::ITEM_BYTES_MAX);
        if self.has_agent_words || !self.rows.is_empty() {
            return Vec::new();
        }
        self.show_words(1, self.chat_text.clone())
    }

    pub(super) fn on_thinking(&mut self, data: &Value) -> Vec<ChatEvent> {
        let Some(thought) = data["text"].as_str().map(str::trim).filter(|text| !text.is_empty()) else {
            return Vec::new();
        };
        let id = rows::thinking_id(&rows::assistant_id(&self.id, self.rows.len() + 1));
        let mut events = self.enter(Phase::Thinking, None);
        events.push(self.show(id, ChatRole::Thinking, thought.to_owned(), None, true));
        events
    }

    pub(super) fn on_tool(&mut self, data: &Value) -> Vec<ChatEvent> {
        let Some(id) = data["toolCallId"].as_str().filter(|id| is_id(id)).map(rows::tool_id) else {
            return Vec::new();
        };
        let known = self.calls.iter().find(|call| call.id == id);
        let about = match (data.get("args"), known) {
            (Some(args), _) => text::arguments(args),
            (None, Some(call)) => call.text.clone(),
            (None, None) => String::new(),
        };
        let is_result = data["phase"] == "result";
        let output = if is_result { &data["result"]["content"] } else { &data["partialResult"]["content"] };
        let words = text::tool(&about, &text::of_content(output));
        let name = data["name"].as_str().filter(|name| is_id(name)).map(str::to_owned);
        let mut events = self.enter(Phase::Answering, None);
        events.push(self.show(id, ChatRole::Tool, words, name, !is_result));
        if data["phase"] == "start" {
            let call = self.live.last().cloned();
            call.into_iter().for_each(|call| self.remember_call(call));
        }
        events
    }

    pub(super) fn on_lifecycle(&mut self, data: &Value, now: Instant) {
        let is_end = matches!(data["phase"].as_str(), Some("end" | "error")) && data["executionSettled"] == true;
        match data["phase"].as_str() {
            _ if is_end => self.ended = Some(now),
            Some("start") => self.ended = None,
            _ => {}
        }
    }

    /// A row of the transcript: its items replace the growing ones.
    pub(super) fn on_row(&mut self, row: &Row) -> Vec<ChatEvent> {
        if self.rows.len() >= ROWS_MAX {
            return vec![self.change(ChatChange::Reload)];
        }
        let ordinal = row.is_countable().then(|| rows::ordinal(&mut self.rows, row.id()));
        // The call goes in, so that its result is added to it.
        let call = row.call_id().map(rows::tool_id);
        let call = self.calls.iter().position(|known| Some(&known.id) == call.as_ref());
        let mut items: Vec<ChatItem> = call.map(|index| self.calls.remove(index)).into_iter().collect();
        rows::add_items(&mut items, row, ordinal, self.is_active());
        if row.lacks_words() {
            items.iter_mut().for_each(|item| self.keep_words(item));
        }
        for item in &items {
            if item.role == ChatRole::Tool && row.call_id().is_none() {
                self.remember_call(item.clone());
            }
            if item.streaming && item.role == ChatRole::Tool {
                rows::put(&mut self.live, item.clone());
            } else {
                self.live.retain(|live| live.id != item.id);
            }
        }
        // A row that calls a tool comes without the words before the call, although history has them.
        items.extend(ordinal.into_iter().flat_map(|ordinal| self.finish_words(ordinal)));
        let mut events: Vec<ChatEvent> = items.into_iter().map(|item| self.change(ChatChange::Item(item))).collect();
        let is_due = row.is_assistant() && self.reload_due.take().is_some();
        if is_due || row.lacks_words() {
            events.push(self.change(ChatChange::Reload));
        }
        events
    }

    /// Learns from history what happened while nobody listened.
    pub(super) fn catch_up(&mut self, known: &[String], items: &[ChatItem], said: &str) -> Vec<ChatEvent> {
        if known.len() > self.rows.len() {
            self.rows = known.to_vec();
            self.live.retain(|live| !items.iter().any(|item| item.id == live.id));
        }
        let rest = unsaid(said, items, &self.id);
        let phase = if said.trim().is_empty() { Phase::Preparing } else { Phase::Answering };
        let mut events = if self.is_new() { self.enter(phase, None) } else { Vec::new() };
        if !rest.is_empty() && !self.has_open_words() {
            events.extend(self.show_words(self.rows.len() + 1, rest.to_owned()));
        }
        events
    }

    /// Of an item that the gateway cut, shows as much as is known; the rest comes with the history.
    fn keep_words(&self, item: &mut ChatItem) {
        rows::leave_open(item);
        if let Some(live) = self.live.iter().find(|live| live.id == item.id && live.text.starts_with(&item.text)) {
            item.text.clone_from(&live.text);
        }
    }

    /// Takes what is still growing of the n-th message.
    fn finish_words(&mut self, ordinal: usize) -> Vec<ChatItem> {
        let id = rows::assistant_id(&self.id, ordinal);
        let ids = [rows::thinking_id(&id), id];
        let (finished, live): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.live).into_iter().partition(|item| ids.contains(&item.id));
        self.live = live;
        finished.into_iter().map(|item| ChatItem { streaming: false, ..item }).collect()
    }

    fn remember_call(&mut self, call: ChatItem) {
        if self.calls.len() >= CALLS_MAX {
            self.calls.remove(0);
        }
        rows::put(&mut self.calls, call);
    }

    fn has_open_words(&self) -> bool {
        self.live.iter().any(|item| item.role == ChatRole::Assistant)
    }

    fn show_words(&mut self, ordinal: usize, said: String) -> Vec<ChatEvent> {
        let said = text::assistant(&said);
        if said.is_empty() || text::is_silent(said) {
            return Vec::new();
        }
        let (id, said) = (rows::assistant_id(&self.id, ordinal), said.to_owned());
        let mut events = self.enter(Phase::Answering, None);
        events.push(self.show(id, ChatRole::Assistant, said, None, true));
        events
    }

    fn show(&mut self, id: String, role: ChatRole, text: String, tool: Option<String>, streaming: bool) -> ChatEvent {
        let at = self.live.iter().find(|item| item.id == id).map_or_else(|| Some(Timestamp::now()), |item| item.at);
        let item = ChatItem { id, role, text: text::bounded(text), streaming, tool, at };
        rows::put(&mut self.live, item.clone());
        let mut surplus = self.live.iter().map(|item| item.text.len()).sum::<usize>().saturating_sub(LIVE_BYTES_MAX);
        while surplus > 0 || self.live.len() > LIVE_MAX {
            surplus = surplus.saturating_sub(self.live.remove(0).text.len());
        }
        self.change(ChatChange::Item(item))
    }

    fn change(&self, change: ChatChange) -> ChatEvent {
        super::change(&self.session, change)
    }
}

/// What of a turn's words no message on the page has said. The gateway joins messages with an empty line.
fn unsaid<'a>(said: &'a str, items: &[ChatItem], run: &str) -> &'a str {
    let mut rest = said.trim();
    let of_run = |item: &&ChatItem| {
        item.role == ChatRole::Assistant && item.id.strip_prefix(run).is_some_and(|rest| rest.starts_with(':'))
    };
    for item in items.iter().filter(of_run) {
        match rest.strip_prefix(item.text.as_str()) {
            Some(after) => rest = after.trim_start(),
            // Joined differently than we think: better nothing than the same words twice.
            None => return "",
        }
    }
    rest
}
