//! The gateway's methods that the hub uses, each with its time limit and the parts of its answer that we read.

use std::time::Duration;

use reef_driver::AgentError;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::rpc::Rpc;

/// Limit for calls that read state or start work. The first ones after a start take seconds.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// Sessions per list.
const SESSIONS_MAX: usize = 200;

/// Rows per page of history; the gateway's own limit.
pub(crate) const HISTORY_ROWS_MAX: usize = 1000;

/// One row of `sessions.list`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct SessionRow {
    pub(crate) key: String,
    pub(crate) label: Option<String>,
    pub(crate) display_name: Option<String>,
    pub(crate) derived_title: Option<String>,
    pub(crate) model_provider: Option<String>,
    pub(crate) model: Option<String>,
    pub(crate) updated_at: Option<i64>,
    pub(crate) input_tokens: u64,
    pub(crate) output_tokens: u64,
    pub(crate) has_active_run: bool,
}

/// A page of `chat.history`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct HistoryPage {
    /// Oldest first.
    pub(crate) messages: Vec<Value>,
    /// Whether there are older ones.
    pub(crate) has_more: bool,
    pub(crate) in_flight_run: Option<InFlightRun>,
    pub(crate) session_info: SessionInfo,
}

/// A turn that goes on while the history is read.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct InFlightRun {
    pub(crate) run_id: String,
    /// What the assistant said in this turn so far, all messages joined.
    pub(crate) text: String,
}

/// How the last turn of a session stands.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct SessionInfo {
    /// `running`, `done`, `failed`, `killed`, …
    pub(crate) status: Option<String>,
    pub(crate) last_run_id: Option<String>,
}

/// What `gateway.suspend.prepare` says.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", tag = "status")]
pub enum Suspension {
    /// Nothing runs; it answers nothing else until it is resumed, or for two minutes.
    #[serde(rename_all = "camelCase")]
    Ready { suspension_id: String },
    /// Work is going on.
    Busy,
}

impl Rpc {
    async fn typed<T: DeserializeOwned>(&self, method: &'static str, params: Value) -> Result<T, AgentError> {
        let answer = self.call(method, params, CALL_TIMEOUT).await?;
        serde_json::from_value(answer)
            .map_err(|_| AgentError::Refused(format!("the answer to {method} is not of the expected form")))
    }

    /// Asks for the events of every session on this connection.
    pub(crate) async fn sessions_subscribe(&self) -> Result<(), AgentError> {
        self.call("sessions.subscribe", json!({}), CALL_TIMEOUT).await.map(drop)
    }

    pub(crate) async fn sessions_list(&self) -> Result<Vec<SessionRow>, AgentError> {
        #[derive(Deserialize)]
        struct Answer {
            sessions: Vec<SessionRow>,
        }
        let params = json!({ "limit": SESSIONS_MAX, "includeDerivedTitles": true });
        self.typed::<Answer>("sessions.list", params).await.map(|answer| answer.sessions)
    }

    /// The newest `rows` rows, at most [`HISTORY_ROWS_MAX`].
    pub(crate) async fn chat_history(&self, session: &str, rows: usize) -> Result<HistoryPage, AgentError> {
        let params = json!({ "sessionKey": session, "limit": rows.clamp(1, HISTORY_ROWS_MAX) });
        self.typed("chat.history", params).await
    }

    /// One message with all its words, or as many as `chars_max`. None when the gateway does not give it out.
    pub(crate) async fn chat_message(
        &self,
        session: &str,
        id: &str,
        chars_max: usize,
    ) -> Result<Option<Value>, AgentError> {
        #[derive(Deserialize)]
        struct Answer {
            message: Option<Value>,
        }
        let params = json!({ "sessionKey": session, "messageId": id, "maxChars": chars_max });
        self.typed::<Answer>("chat.message.get", params).await.map(|answer| answer.message)
    }

    /// Returns the id of the turn.
    pub(crate) async fn chat_send(&self, session: &str, text: &str, key: &str) -> Result<String, AgentError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Answer {
            run_id: String,
        }
        let params = json!({ "sessionKey": session, "message": text, "idempotencyKey": key });
        self.typed::<Answer>("chat.send", params).await.map(|answer| answer.run_id)
    }

    /// Ends every turn of the session; none is fine.
    pub(crate) async fn chat_abort(&self, session: &str) -> Result<(), AgentError> {
        self.call("chat.abort", json!({ "sessionKey": session }), CALL_TIMEOUT).await.map(drop)
    }

    /// Whether a restart now would cut off no work.
    pub(crate) async fn restart_is_safe(&self) -> Result<bool, AgentError> {
        #[derive(Deserialize)]
        struct Answer {
            safe: bool,
        }
        self.typed::<Answer>("gateway.restart.preflight", json!({})).await.map(|answer| answer.safe)
    }

    pub(crate) async fn suspend_prepare(&self, request_id: &str) -> Result<Suspension, AgentError> {
        self.typed("gateway.suspend.prepare", json!({ "requestId": request_id })).await
    }

    pub(crate) async fn suspend_resume(&self, suspension_id: &str) -> Result<(), AgentError> {
        self.call("gateway.suspend.resume", json!({ "suspensionId": suspension_id }), CALL_TIMEOUT).await.map(drop)
    }

    /// The gateway's own report on its health.
    pub(crate) async fn health(&self) -> Result<Value, AgentError> {
        self.call("health", json!({}), CALL_TIMEOUT).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_leniently() {
        let row: SessionRow = serde_json::from_value(json!({"key": "agent:main:main", "novelty": {}})).unwrap();
        assert_eq!((row.key.as_str(), row.has_active_run, row.input_tokens), ("agent:main:main", false, 0));
        let page: HistoryPage = serde_json::from_value(json!({
            "messages": [{}], "inFlightRun": {"runId": "r", "text": "so far", "events": []},
            "sessionInfo": {"status": "running", "key": "k"}
        }))
        .unwrap();
        assert_eq!(page.in_flight_run.unwrap().text, "so far");
        assert_eq!(page.session_info.status.as_deref(), Some("running"));
    }

    #[test]
    fn suspension() {
        let ready = json!({"status": "ready", "suspensionId": "s1", "expiresAtMs": 1});
        assert_eq!(
            serde_json::from_value::<Suspension>(ready).unwrap(),
            Suspension::Ready { suspension_id: "s1".to_owned() }
        );
        let busy = json!({"status": "busy", "blockers": [], "retryAfterMs": 5});
        assert_eq!(serde_json::from_value::<Suspension>(busy).unwrap(), Suspension::Busy);
    }
}
