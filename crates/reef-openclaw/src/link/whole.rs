//! Messages that the gateway cuts in its pages of history: they are asked for one by one, and remembered for the next page.

use std::collections::VecDeque;

use futures_util::{StreamExt, stream};
use reef_driver::AgentError;
use serde_json::Value;

use super::Shared;
use crate::{
    chat::{rows::Row, text::ITEM_BYTES_MAX},
    gateway::{methods::HistoryPage, rpc::Rpc},
};

/// Messages asked for per page, the newest first. The others stay cut.
const MESSAGES_MAX: usize = 64;

/// Messages asked for at once.
const PARALLEL_MAX: usize = 4;

/// All messages that are remembered, in bytes of JSON; the oldest goes first.
const REMEMBERED_BYTES_MAX: usize = 4 << 20;

/// The longest message asked for, in the gateway's characters: one more than an item can have, so that the cut is ours.
const MESSAGE_CHARS_MAX: usize = ITEM_BYTES_MAX + 1;

/// Messages with all their words. A message of the transcript does not change.
#[derive(Debug, Default)]
pub(super) struct Remembered {
    messages: VecDeque<Message>,
    bytes: usize,
}

#[derive(Debug)]
struct Message {
    session: String,
    id: String,
    value: Value,
    bytes: usize,
}

impl Remembered {
    fn get(&self, session: &str, id: &str) -> Option<Value> {
        self.messages.iter().find(|m| m.session == session && m.id == id).map(|message| message.value.clone())
    }

    fn put(&mut self, session: &str, id: &str, value: Value) {
        let bytes = value.to_string().len();
        if bytes > REMEMBERED_BYTES_MAX {
            return;
        }
        self.bytes += bytes;
        self.messages.push_back(Message { session: session.to_owned(), id: id.to_owned(), value, bytes });
        while self.bytes > REMEMBERED_BYTES_MAX {
            let oldest = self.messages.pop_front();
            self.bytes -= oldest.map_or(self.bytes, |oldest| oldest.bytes);
        }
    }
}

/// Puts whole messages in place of those that were cut.
pub(super) async fn complete(
    shared: &Shared,
    rpc: &Rpc,
    session: &str,
    page: &mut HistoryPage,
) -> Result<(), AgentError> {
    let mut missing = Vec::new();
    for (index, message) in page.messages.iter_mut().enumerate().rev() {
        let Some(row) = Row::parse(message).filter(|row| row.lacks_words() && !row.id().is_empty()) else { continue };
        match shared.remembered.lock().get(session, row.id()) {
            Some(whole) => *message = whole,
            None if missing.len() < MESSAGES_MAX => missing.push((index, row.id().to_owned())),
            None => {}
        }
    }
    let mut answers = stream::iter(missing)
        .map(|(index, id)| async move { (index, rpc.chat_message(session, &id, MESSAGE_CHARS_MAX).await, id) })
        .buffer_unordered(PARALLEL_MAX);
    while let Some((index, answer, id)) = answers.next().await {
        match answer {
            Ok(Some(whole)) => {
                shared.remembered.lock().put(session, &id, whole.clone());
                page.messages[index] = whole;
            }
            // Its beginning is better than no history at all.
            Ok(None) | Err(AgentError::Refused(_)) => {}
            Err(err) => return Err(err),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_oldest_is_forgotten_first() {
        let mut remembered = Remembered::default();
        let long = json!("x".repeat(REMEMBERED_BYTES_MAX / 2 - 2));
        for id in ["a", "b", "c"] {
            remembered.put("s", id, long.clone());
        }
        assert_eq!(remembered.get("s", "a"), None);
        assert_eq!((remembered.get("s", "b"), remembered.get("s", "c")), (Some(long.clone()), Some(long)));
        assert_eq!(remembered.get("t", "b"), None);
        remembered.put("s", "d", json!("x".repeat(REMEMBERED_BYTES_MAX)));
        assert_eq!(remembered.get("s", "d"), None);
        assert_eq!(remembered.bytes, REMEMBERED_BYTES_MAX);
    }
}
