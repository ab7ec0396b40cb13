//! Sessions: their keys and how they are listed.

use jiff::Timestamp;
use reef_types::chat::ChatSession;

use crate::gateway::methods::SessionRow;

/// The agent whose sessions are meant when none is named.
const DEFAULT_AGENT: &str = "main";

/// What people call the session that a gateway starts with.
const MAIN: &str = "main";

/// The gateway's full key for what a person calls a session: `main`, `notes` or already `agent:main:notes`.
pub(crate) fn key(session: &str, default_agent: Option<&str>, main_session: Option<&str>) -> String {
    match (session, main_session) {
        _ if session.starts_with("agent:") => session.to_owned(),
        (MAIN, Some(key)) => key.to_owned(),
        // Keys are lower case in the gateway's store, whatever they were asked for with.
        _ => format!("agent:{}:{}", default_agent.unwrap_or(DEFAULT_AGENT), session.to_lowercase()),
    }
}

impl From<SessionRow> for ChatSession {
    fn from(row: SessionRow) -> Self {
        let title = [row.label, row.display_name, row.derived_title].into_iter().flatten().find(|t| !t.is_empty());
        let model = match (row.model_provider, row.model) {
            (Some(provider), Some(model)) => Some(format!("{provider}/{model}")),
            (_, model) => model,
        };
        Self {
            key: row.key,
            title,
            model,
            updated_at: row.updated_at.and_then(|ms| Timestamp::from_millisecond(ms).ok()),
            input_tokens: row.input_tokens,
            output_tokens: row.output_tokens,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys() {
        for (session, agent, main, expect) in [
            ("main", None, None, "agent:main:main"),
            ("main", Some("ops"), Some("agent:ops:home"), "agent:ops:home"),
            ("Notes", Some("ops"), Some("agent:ops:home"), "agent:ops:notes"),
            ("agent:x:Y", Some("ops"), None, "agent:x:Y"),
        ] {
            assert_eq!(key(session, agent, main), expect);
        }
    }

    #[test]
    fn a_row_becomes_a_session() {
        let row = SessionRow {
            key: "k".to_owned(),
            label: Some(String::new()),
            derived_title: Some("Lunch".to_owned()),
            model_provider: Some("echo".to_owned()),
            model: Some("echo-1".to_owned()),
            updated_at: Some(1_000),
            input_tokens: 5,
            ..SessionRow::default()
        };
        let session = ChatSession::from(row);
        assert_eq!(session.title.as_deref(), Some("Lunch"));
        assert_eq!(session.model.as_deref(), Some("echo/echo-1"));
        assert_eq!(session.updated_at, Timestamp::from_second(1).ok());
        assert_eq!(session.input_tokens, 5);
    }
}
