//! Rows of the transcript, as history and `session.message` carry them, and the items they stand for.

use std::collections::HashMap;

use jiff::Timestamp;
use reef_types::chat::{ChatItem, ChatRole};
use serde::Deserialize;
use serde_json::Value;

use super::{live::is_id, text};

/// One row. Fields that are missing are empty: rows of plugins and of later versions differ.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Row {
    pub(crate) role: String,
    content: Value,
    timestamp: Option<i64>,
    idempotency_key: Option<String>,
    stop_reason: Option<String>,
    error_message: Option<String>,
    tool_call_id: Option<String>,
    tool_name: Option<String>,
    provenance: Provenance,
    #[serde(rename = "__openclaw")]
    meta: Meta,
}

/// Where the words of a user's row come from, when it was no user.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Provenance {
    kind: Option<String>,
    source_tool: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Meta {
    id: String,
    run_id: Option<String>,
    kind: Option<String>,
    truncated: bool,
}

/// `provenance.kind` of words that the gateway itself puts into a conversation.
const INTERNAL: &str = "internal_system";

/// `provenance.sourceTool` of the words by which the gateway takes up a turn that its own end cut off.
const RECOVERY: &str = "main_session_restart_recovery";

/// Idempotency key of the notice that a turn was not taken up: `<prefix><run>:failed-notice`.
const LOST_PREFIX: &str = "main-session-restart-recovery:";
const LOST_SUFFIX: &str = ":failed-notice";

impl Row {
    /// None when it is not a row at all.
    pub(crate) fn parse(value: &Value) -> Option<Self> {
        Self::deserialize(value).ok()
    }

    /// The transcript's own name for the row.
    pub(crate) fn id(&self) -> &str {
        &self.meta.id
    }

    /// The run that the row belongs to. Answers that no model gave are only tied to it by their idempotency key.
    pub(crate) fn run_id(&self) -> Option<&str> {
        let by_key = || {
            let key = self.idempotency_key.as_deref()?;
            key.strip_prefix(LOST_PREFIX).unwrap_or(key).split(':').next()
        };
        self.meta.run_id.as_deref().or_else(by_key).filter(|id| !id.is_empty())
    }

    /// Whether nothing that is remembered of the row is longer than an id may be.
    pub(crate) fn has_plain_ids(&self) -> bool {
        let given = [&self.idempotency_key, &self.tool_call_id, &self.tool_name, &self.meta.run_id];
        is_id(&self.meta.id) && is_id(&self.role) && given.into_iter().flatten().all(|id| is_id(id))
    }

    pub(crate) fn is_assistant(&self) -> bool {
        self.role == "assistant"
    }

    /// Whether it has a place among the assistant's messages of its run.
    pub(crate) fn is_countable(&self) -> bool {
        self.is_assistant()
            && !self.meta.id.is_empty()
            && !self.key_ends_with(":terminal-error")
            && !self.is_lost_notice()
    }

    /// Whether it starts a turn, and that turn is not the going on of another.
    pub(crate) fn starts_turn(&self) -> bool {
        self.role == "user" && self.key_ends_with(":user") && !self.takes_up_turn()
    }

    /// Whether its run takes up the session's last turn, which a restart of the gateway cut off.
    pub(crate) fn takes_up_turn(&self) -> bool {
        self.role == "user" && self.provenance.source_tool.as_deref() == Some(RECOVERY)
    }

    /// Makes it a row of another run.
    pub(crate) fn move_to(&mut self, run: &str) {
        self.meta.run_id = Some(run.to_owned());
    }

    /// Whether the gateway cut words out of it that people should see.
    pub(crate) fn lacks_words(&self) -> bool {
        self.meta.truncated && matches!(self.role.as_str(), "user" | "assistant" | "system")
    }

    fn is_lost_notice(&self) -> bool {
        let key = self.idempotency_key.as_deref().and_then(|key| key.strip_prefix(LOST_PREFIX));
        key.is_some_and(|key| key.ends_with(LOST_SUFFIX))
    }

    /// The tool call that the row is the result of.
    pub(crate) fn call_id(&self) -> Option<&str> {
        self.tool_call_id.as_deref()
    }

    fn key_ends_with(&self, suffix: &str) -> bool {
        self.idempotency_key.as_deref().is_some_and(|key| key.ends_with(suffix))
    }

    fn at(&self) -> Option<Timestamp> {
        Timestamp::from_millisecond(self.timestamp?).ok()
    }

    fn fallback_id(&self) -> String {
        match self.meta.id.as_str() {
            "" => format!("row:{}:{}", self.role, self.timestamp.unwrap_or_default()),
            id => format!("row:{id}"),
        }
    }

    fn item(&self, id: String, role: ChatRole, text: String) -> ChatItem {
        let text = if self.meta.truncated { text::cut_by_gateway(&text) } else { text };
        ChatItem { id, role, text: text::bounded(text), streaming: false, tool: None, at: self.at() }
    }
}

/// Whether the message that was sent with this key is among the rows.
pub(crate) fn has_send(messages: &[Value], key: &str) -> bool {
    let sent = |message: &Value| message["idempotencyKey"].as_str().and_then(|k| k.strip_suffix(":user")) == Some(key);
    messages.iter().any(sent)
}

/// Id of the n-th message of the assistant in a run; counts from 1.
pub(crate) fn assistant_id(run: &str, ordinal: usize) -> String {
    format!("{run}:{ordinal}")
}

/// Id of what the assistant thought before its n-th message.
pub(crate) fn thinking_id(assistant_id: &str) -> String {
    format!("{assistant_id}:thinking")
}

/// Id of why a run failed.
fn error_id(run: &str) -> String {
    format!("{run}:error")
}

/// Id of a tool call and its result.
pub(crate) fn tool_id(call: &str) -> String {
    format!("tool:{call}")
}

/// What a page of history comes to.
#[derive(Debug, Default)]
pub(crate) struct Projection {
    pub(crate) items: Vec<ChatItem>,
    /// Transcript ids of the assistant's messages of each run, in order.
    pub(crate) assistant_rows: HashMap<String, Vec<String>>,
    /// The turn that the last message started.
    pub(crate) last_turn: Option<String>,
    /// Runs that took up a turn after a restart of the gateway, and which run began it. Its items have the first one's id.
    pub(crate) taken_up: HashMap<String, String>,
}

/// Projects a page, oldest row first. `cut` says that older rows exist, `open_run` names the run that still goes on.
pub(crate) fn project(messages: &[Value], cut: bool, open_run: Option<&str>) -> Projection {
    let mut out = Projection::default();
    let mut rows: Vec<Row> = messages.iter().filter_map(Row::parse).collect();
    // The first rows may be the tail of a run; its messages cannot be counted, so they get their rows' ids.
    let cut_run = rows.first().filter(|_| cut).and_then(Row::run_id).map(str::to_owned);
    for row in &mut rows {
        let is_open = open_run.is_some() && row.run_id() == open_run;
        let own_run = row.run_id().unwrap_or_default().to_owned();
        if row.starts_turn() {
            out.last_turn = Some(own_run.clone());
        } else if let (true, Some(first)) = (row.takes_up_turn(), &out.last_turn) {
            out.taken_up.insert(own_run.clone(), first.clone());
        }
        if let Some(first) = out.taken_up.get(&own_run) {
            row.move_to(first);
        }
        let run = row.run_id().filter(|run| cut_run.as_deref() != Some(*run));
        let ordinal = match run {
            Some(run) if row.is_countable() => {
                Some(ordinal(out.assistant_rows.entry(run.to_owned()).or_default(), row.id()))
            }
            _ => None,
        };
        add_items(&mut out.items, row, ordinal, is_open);
    }
    out
}

/// The place of a row among the assistant's messages of its run. One stored row may be shown as several.
pub(crate) fn ordinal(rows: &mut Vec<String>, id: &str) -> usize {
    if let Some(index) = rows.iter().position(|known| known == id) {
        return index + 1;
    }
    rows.push(id.to_owned());
    rows.len()
}

/// Adds what a row stands for. `open` marks tool calls as unfinished until their result comes.
pub(crate) fn add_items(items: &mut Vec<ChatItem>, row: &Row, ordinal: Option<usize>, open: bool) {
    if let Some(text) = boundary(row) {
        put(items, row.item(row.fallback_id(), ChatRole::System, text.to_owned()));
        return;
    }
    match row.role.as_str() {
        "user" if row.provenance.kind.as_deref() == Some(INTERNAL) => {
            let text =
                if row.takes_up_turn() { TAKEN_UP.to_owned() } else { text::user(&text::of_content(&row.content)) };
            if !text.is_empty() {
                put(items, row.item(row.fallback_id(), ChatRole::System, text));
            }
        }
        "user" => {
            let text = text::user(&text::of_content(&row.content));
            let id = match &row.idempotency_key {
                Some(key) if key.ends_with(":user") => key.clone(),
                _ => row.fallback_id(),
            };
            if !text.is_empty() {
                put(items, row.item(id, ChatRole::User, text));
            }
        }
        "assistant" => add_assistant(items, row, ordinal, open),
        "toolResult" | "tool" => add_result(items, row),
        "system" => {
            let text = text::of_content(&row.content).trim().to_owned();
            if !text.is_empty() {
                put(items, row.item(row.fallback_id(), ChatRole::System, text));
            }
        }
        _ => {}
    }
}

fn add_assistant(items: &mut Vec<ChatItem>, row: &Row, ordinal: Option<usize>, open: bool) {
    let id = match (row.run_id(), ordinal) {
        (Some(run), Some(ordinal)) => assistant_id(run, ordinal),
        _ => row.fallback_id(),
    };
    let parts = row.content.as_array().map(Vec::as_slice).unwrap_or_default();
    let thinking: Vec<&str> = parts.iter().filter_map(|part| part["thinking"].as_str()).collect();
    let thinking = thinking.join("\n\n").trim().to_owned();
    if !thinking.is_empty() {
        put(items, row.item(thinking_id(&id), ChatRole::Thinking, thinking));
    }
    let content = text::of_content(&row.content);
    let said = text::assistant(&content);
    if let (Some(run), true) = (row.run_id(), row.is_lost_notice()) {
        put(items, row.item(error_id(run), ChatRole::Error, said.to_owned()));
        return;
    }
    if row.stop_reason.as_deref() == Some("error") {
        let why = row.error_message.as_deref().map_or(said, str::trim);
        if said != why && !said.is_empty() {
            append(items, row.item(id.clone(), ChatRole::Assistant, said.to_owned()));
        }
        let error_id = match row.run_id() {
            Some(run) if row.key_ends_with(":terminal-error") => error_id(run),
            _ => format!("{id}:error"),
        };
        put(items, row.item(error_id, ChatRole::Error, why.to_owned()));
    } else if !said.is_empty() && !text::is_silent(said) {
        append(items, row.item(id, ChatRole::Assistant, said.to_owned()));
    }
    for call in parts.iter().filter(|part| part["type"] == "toolCall") {
        let (Some(call_id), name) = (call["id"].as_str(), call["name"].as_str()) else { continue };
        if !is_id(call_id) || !name.is_none_or(is_id) {
            continue;
        }
        let item = row.item(tool_id(call_id), ChatRole::Tool, text::arguments(&call["arguments"]));
        put(items, ChatItem { tool: name.map(str::to_owned), streaming: open, ..item });
    }
}

fn add_result(items: &mut Vec<ChatItem>, row: &Row) {
    let result = text::of_content(&row.content);
    let id = row.tool_call_id.as_deref().map_or_else(|| row.fallback_id(), tool_id);
    if let Some(call) = items.iter_mut().find(|item| item.id == id) {
        call.text = text::tool(&call.text, &result);
        call.streaming = false;
    } else {
        let item = row.item(id, ChatRole::Tool, text::tool("", &result));
        items.push(ChatItem { tool: row.tool_name.clone(), ..item });
    }
}

/// What people read where the gateway tells the model to go on.
const TAKEN_UP: &str = "The agent was restarted in the middle of its turn, and takes it up again.";

/// What a row says that only marks a place in the transcript.
fn boundary(row: &Row) -> Option<&'static str> {
    match row.meta.kind.as_deref()? {
        "compaction" => Some("Earlier messages were summarised for the model."),
        "reset" => Some("The session was started anew."),
        _ => None,
    }
}

/// Of an item that the gateway cut, leaves what the whole begins with: the rest comes with the history.
pub(crate) fn leave_open(item: &mut ChatItem) {
    if item.role != ChatRole::Tool {
        item.text.truncate(text::begun(&item.text).len());
        item.streaming = true;
    }
}

/// Adds an item, or replaces the one with its id.
pub(crate) fn put(items: &mut Vec<ChatItem>, item: ChatItem) {
    match items.iter_mut().find(|known| known.id == item.id) {
        Some(known) => *known = item,
        None => items.push(item),
    }
}

/// Adds an item, or appends to the one with its id: one stored message may be shown as several rows.
fn append(items: &mut Vec<ChatItem>, item: ChatItem) {
    match items.iter_mut().find(|known| known.id == item.id) {
        Some(known) if known.text != item.text => {
            known.text.push_str("\n\n");
            known.text.push_str(&item.text);
            known.text = text::bounded(std::mem::take(&mut known.text));
        }
        Some(_) => {}
        None => items.push(item),
    }
}

#[cfg(test)]
mod tests;
