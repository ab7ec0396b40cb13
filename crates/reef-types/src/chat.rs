//! Normalised chat: what every agent kind's conversation is turned into.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Who or what an item comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ChatRole {
    User,
    Assistant,
    Thinking,
    Tool,
    Error,
    System,
}

/// One entry of a conversation. An item with a known `id` replaces the earlier one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChatItem {
    /// Unique within the session and stable across reloads.
    pub id: String,
    pub role: ChatRole,
    /// All of the text so far, not a delta.
    pub text: String,
    /// True while more text may follow.
    pub streaming: bool,
    /// The tool's name, for `role: tool`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub at: Option<Timestamp>,
}

/// The state of the turn that a session is working on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChatRun {
    pub id: String,
    /// `queued`, `preparing`, `thinking`, `answering`, `retrying`, then `done`, `failed` or `aborted`.
    pub phase: String,
    /// For people, when there is something to say (why it failed, which retry it is).
    pub message: Option<String>,
}

impl ChatRun {
    /// Whether the turn is over.
    pub fn is_settled(&self) -> bool {
        matches!(self.phase.as_str(), "done" | "failed" | "aborted")
    }
}

/// One conversation of an agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChatSession {
    /// The agent's own key.
    pub key: String,
    pub title: Option<String>,
    pub model: Option<String>,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub updated_at: Option<Timestamp>,
    pub input_tokens: u64,
    pub output_tokens: u64,
}

/// A change of one session, as the agent reports it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChatEvent {
    /// The agent's own key of the session.
    pub session: String,
    pub change: ChatChange,
}

/// What changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ChatChange {
    /// An item appeared or grew.
    Item(ChatItem),
    /// The turn moved on.
    Run(ChatRun),
    /// The history is worth reading again (a turn ended, a message arrived from elsewhere).
    Reload,
}
