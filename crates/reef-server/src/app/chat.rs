//! Conversations with an agent.

use std::sync::Arc;

use reef_driver::AgentLink;
use reef_types::{ApiError, ErrorCode, InstanceId, Phase};

use crate::{chat::Conversations, http::error::Outcome, hub::Inner};

/// Characters of one message.
const TEXT_CHARS_MAX: usize = 200_000;
const SESSION_CHARS_MAX: usize = 200;
const IDEMPOTENCY_KEY_CHARS_MAX: usize = 128;

/// A conversation of an instance that can be talked to now.
pub(crate) struct Conversation {
    pub(crate) id: InstanceId,
    pub(crate) link: Arc<dyn AgentLink>,
    pub(crate) chats: Arc<Conversations>,
    /// The agent's own key.
    pub(crate) key: String,
}

/// Checks that the instance runs, and takes hold of a conversation.
pub(crate) async fn open(hub: &Inner, selector: &str, session: &str) -> Outcome<Conversation> {
    let (id, link) = link(hub, selector).await?;
    check_session(session)?;
    let key = link.session_key(session);
    let chats = hub.runtimes.chats(id).ok_or_else(unavailable)?;
    Ok(Conversation { id, link, chats, key })
}

/// The link of a running instance.
pub(crate) async fn link(hub: &Inner, selector: &str) -> Outcome<(InstanceId, Arc<dyn AgentLink>)> {
    let row = super::instance::find(hub, selector).await?;
    let phase = row.status.phase;
    match hub.runtimes.link(row.spec.id) {
        Some(link) if matches!(phase, Phase::Running | Phase::Degraded) => Ok((row.spec.id, link)),
        _ => {
            let message = format!("the instance is {}; it has to run for this", phase.as_str());
            Err(ApiError::new(ErrorCode::InstanceUnavailable, message).retry_after(3_000).into())
        }
    }
}

fn unavailable() -> ApiError {
    ApiError::new(ErrorCode::InstanceUnavailable, "the instance does not run").retry_after(3_000)
}

pub(crate) fn check_session(session: &str) -> Result<(), ApiError> {
    let fine = !session.is_empty()
        && session.len() <= SESSION_CHARS_MAX
        && !session.chars().any(|c| c.is_control() || c == '/');
    if fine {
        Ok(())
    } else {
        Err(ApiError::field("session", format!("1 to {SESSION_CHARS_MAX} printable characters without '/'")))
    }
}

/// Sends a message; the same key never runs twice.
pub(crate) async fn send(hub: &Inner, talk: &Conversation, text: &str, key: Option<&str>) -> Outcome<String> {
    if text.trim().is_empty() || text.chars().count() > TEXT_CHARS_MAX {
        return Err(ApiError::field("text", format!("1 to {TEXT_CHARS_MAX} characters")).into());
    }
    let fresh;
    let key = match key {
        Some(key)
            if key.is_empty()
                || key.len() > IDEMPOTENCY_KEY_CHARS_MAX
                || !key.bytes().all(|b| b.is_ascii_graphic()) =>
        {
            let message = format!("1 to {IDEMPOTENCY_KEY_CHARS_MAX} printable ASCII characters without spaces");
            return Err(ApiError::field("Idempotency-Key", message).into());
        }
        Some(key) => key,
        None => {
            fresh = uuid::Uuid::now_v7().to_string();
            &fresh
        }
    };
    let at = jiff::Timestamp::now();
    // Shown before it is sent: what the agent reports of it may arrive before its answer does.
    talk.chats.sent(&talk.key, key, text, at);
    hub.activity.lock().insert(talk.id, at);
    match talk.link.send(&talk.key, text, key).await {
        Ok(run) => Ok(run),
        Err(err) => {
            talk.chats.retract(&talk.key, key);
            Err(err.into())
        }
    }
}
