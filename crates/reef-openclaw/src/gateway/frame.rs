//! The three kinds of frames. Unknown kinds and fields are let through: a newer gateway may send more than we know.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::error::Refusal;

/// What the gateway sends.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(crate) enum Frame {
    Event(Event),
    Res(Response),
    /// A kind that this version does not know.
    #[serde(other)]
    Unknown,
}

/// Something happened.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Event {
    pub(crate) event: String,
    #[serde(default)]
    pub(crate) payload: Value,
    /// Counts the events of one connection; a gap means that the gateway dropped some because we were slow.
    pub(crate) seq: Option<u64>,
}

/// The answer to one request.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Response {
    pub(crate) id: String,
    #[serde(default)]
    ok: bool,
    #[serde(default)]
    payload: Value,
    error: Option<Refusal>,
}

impl Response {
    /// The payload, or why there is none.
    pub(crate) fn into_result(self) -> Result<Value, Refusal> {
        match self.error {
            None if self.ok => Ok(self.payload),
            error => Err(error.unwrap_or_default()),
        }
    }
}

/// What we send.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename = "req")]
pub(crate) struct Request<'a> {
    pub(crate) id: &'a str,
    pub(crate) method: &'a str,
    pub(crate) params: &'a Value,
}

impl Request<'_> {
    /// The text on the wire.
    pub(crate) fn to_text(&self) -> String {
        serde_json::to_string(self).expect("strings and JSON values are always JSON")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(frame: Value) -> Result<Frame, serde_json::Error> {
        serde_json::from_value(frame)
    }

    #[test]
    fn event() {
        let Ok(Frame::Event(event)) =
            parse(json!({"type": "event", "event": "tick", "seq": 7, "payload": {"ts": 1}, "stateVersion": {"x": 1}}))
        else {
            panic!("not an event")
        };
        assert_eq!((event.event.as_str(), event.seq), ("tick", Some(7)));
        assert_eq!(event.payload, json!({"ts": 1}));
    }

    #[test]
    fn good_response() {
        let Ok(Frame::Res(res)) = parse(json!({"type": "res", "id": "r1", "ok": true, "payload": [1]})) else {
            panic!("not a response")
        };
        assert_eq!(res.id, "r1");
        assert_eq!(res.into_result(), Ok(json!([1])));
    }

    #[test]
    fn refusal_keeps_code_detail_and_delay() {
        let Ok(Frame::Res(res)) = parse(json!({"type": "res", "id": "r1", "ok": false, "error": {
            "code": "UNAVAILABLE", "message": "starting", "retryable": true, "retryAfterMs": 500,
            "details": {"reason": "startup-sidecars"}}}))
        else {
            panic!("not a response")
        };
        let refusal = res.into_result().unwrap_err();
        assert_eq!(refusal.code, "UNAVAILABLE");
        assert_eq!(refusal.detail(), Some("startup-sidecars"));
        assert_eq!(refusal.retry_after(), Some(std::time::Duration::from_millis(500)));
    }

    #[test]
    fn a_refusal_without_a_reason_is_still_a_refusal() {
        for frame in [
            json!({"type": "res", "id": "a", "ok": false}),
            json!({"type": "res", "id": "a"}),
            json!({"type": "res", "id": "a", "ok": true, "error": {"code": "X", "message": "m"}}),
        ] {
            let Ok(Frame::Res(res)) = parse(frame.clone()) else { panic!("{frame}") };
            assert!(res.into_result().is_err(), "{frame}");
        }
    }

    #[test]
    fn unknown_kinds_pass_and_garbage_does_not() {
        assert!(matches!(parse(json!({"type": "hint", "x": 1})), Ok(Frame::Unknown)));
        for bad in [json!([]), json!({"id": "a"}), json!({"type": "event"}), json!({"type": "res", "ok": true})] {
            assert!(parse(bad.clone()).is_err(), "{bad}");
        }
    }

    #[test]
    fn request_text() {
        let request = Request { id: "r7", method: "health", params: &json!({}) };
        let value: Value = serde_json::from_str(&request.to_text()).unwrap();
        assert_eq!(value, json!({"type": "req", "id": "r7", "method": "health", "params": {}}));
    }
}
