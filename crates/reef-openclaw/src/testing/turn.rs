//! The conversations of the fake gateway: what it answers, says and writes down, in the order that the real one does.

use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tokio::time::{Duration, sleep};
use uuid::Uuid;

use super::{Arc, Behaviour, Inner, Out};

/// Pause between two pieces of an answer.
const PIECE_PAUSE: Duration = Duration::from_millis(20);

/// Pause between the end of a failed or aborted turn and its row.
const LATE_ROW_PAUSE: Duration = Duration::from_millis(30);

/// Pause between a crash and the turn that takes up the one that was cut off.
const RECOVERY_PAUSE: Duration = Duration::from_secs(2);

/// Longest text that pages and events have; `chat.message.get` has all of it.
const SHOWN_CHARS_MAX: usize = 8_000;

#[derive(Debug, Default)]
pub(super) struct Session {
    rows: Vec<Value>,
    running: Option<Running>,
    last: Option<(String, &'static str)>,
}

#[derive(Debug, Clone)]
struct Running {
    run: String,
    message: String,
    said: String,
}

impl Inner {
    /// The answer to a request; none while it is deaf.
    pub(super) fn answer(self: &Arc<Self>, request: &Value) -> Option<Value> {
        let params = &request["params"];
        let session = full_key(params["sessionKey"].as_str().unwrap_or_default());
        let behaviour = self.behaviour();
        let payload = match request["method"].as_str().unwrap_or_default() {
            _ if behaviour == Behaviour::Suspended => Err(json!({"code": "UNAVAILABLE",
                "message": "gateway is suspending", "details": {"reason": "gateway-suspending"}})),
            "sessions.subscribe" => Ok(json!({"subscribed": true})),
            "sessions.list" => Ok(json!({"sessions": self.list()})),
            _ if behaviour == Behaviour::Deaf => return None,
            "health" => Ok(json!({"ok": true})),
            "chat.history" if session.ends_with("gone") => {
                let message = format!("no such session for {}", self.token.expose_secret());
                Err(json!({"code": "INVALID_REQUEST", "message": message}))
            }
            "chat.history" => Ok(self.history(&session, params["limit"].as_u64().unwrap_or(200))),
            "chat.message.get" => Ok(self.whole_message(&session, params)),
            "chat.send" => Ok(self.chat_send(&session, params)),
            "chat.abort" => Ok(self.abort(&session)),
            "gateway.restart.preflight" => {
                let safe = self.sessions.lock().values().all(|session| session.running.is_none());
                Ok(json!({"safe": safe}))
            }
            "gateway.suspend.prepare" => Ok(json!({"status": "ready", "suspensionId": "s-1"})),
            "gateway.suspend.resume" => Ok(json!({"ok": true})),
            other => Err(json!({"code": "INVALID_REQUEST", "message": format!("unknown method: {other}")})),
        };
        Some(match payload {
            Ok(payload) => json!({"type": "res", "id": request["id"], "ok": true, "payload": payload}),
            Err(error) => json!({"type": "res", "id": request["id"], "ok": false, "error": error}),
        })
    }

    pub(super) fn say_elsewhere(&self, session: &str, text: &str) {
        self.write_down(&full_key(session), json!({"role": "user", "content": text}));
    }

    /// Cuts off every turn, and takes each up again a little later, as a new run.
    pub(super) fn take_up(self: &Arc<Self>) {
        let mut sessions = self.sessions.lock();
        for (key, session) in &mut *sessions {
            let Some(cut_off) = session.running.take() else { continue };
            session.last = Some((cut_off.run, "running"));
            let turn = self.turn(key, &Uuid::now_v7().to_string());
            tokio::spawn(turn.take_up(cut_off.message));
        }
    }

    fn turn(self: &Arc<Self>, session: &str, run: &str) -> Turn {
        Turn { inner: self.clone(), session: session.to_owned(), run: run.to_owned(), attempt: "attempt", seq: 0 }
    }

    fn begin(&self, session: &str, run: &str, message: &str) {
        let running = Running { run: run.to_owned(), message: message.to_owned(), said: String::new() };
        self.sessions.lock().entry(session.to_owned()).or_default().running = Some(running);
    }

    fn list(&self) -> Vec<Value> {
        let sessions = self.sessions.lock();
        let row = |(key, session): (&String, &Session)| {
            json!({"key": key, "modelProvider": "echo", "model": "echo-1", "inputTokens": 1, "outputTokens": 2,
                "hasActiveRun": session.running.is_some()})
        };
        sessions.iter().map(row).collect()
    }

    fn history(&self, key: &str, limit: u64) -> Value {
        let sessions = self.sessions.lock();
        let Some(session) = sessions.get(key) else { return json!({"messages": [], "hasMore": false}) };
        let skipped = session.rows.len().saturating_sub(usize::try_from(limit).unwrap_or(usize::MAX));
        let mut page = json!({"messages": session.rows[skipped..].iter().map(shown).collect::<Vec<_>>(), "hasMore": skipped > 0, "sessionInfo": {"key": key}});
        match (&session.running, &session.last) {
            (Some(running), _) => {
                page["sessionInfo"]["status"] = json!("running");
                page["inFlightRun"] = json!({"runId": running.run, "text": running.said});
            }
            (None, Some((run, status))) => {
                page["sessionInfo"]["status"] = json!(status);
                page["sessionInfo"]["lastRunId"] = json!(run);
            }
            (None, None) => {}
        }
        page
    }

    fn whole_message(&self, key: &str, params: &Value) -> Value {
        let sessions = self.sessions.lock();
        let mut rows = sessions.get(key).into_iter().flat_map(|session| &session.rows);
        match rows.find(|row| row["__openclaw"]["id"] == params["messageId"]) {
            Some(row) => json!({"ok": true, "message": row}),
            None => json!({"ok": false, "unavailableReason": "not_found"}),
        }
    }

    fn chat_send(self: &Arc<Self>, session: &str, params: &Value) -> Value {
        let text = |name: &str| params[name].as_str().unwrap_or_default().to_owned();
        let (run, message) = (text("idempotencyKey"), text("message"));
        let known = self.sent.lock().insert(run.clone(), message.clone()).is_some();
        if known {
            return json!({"runId": run, "status": "in_flight"});
        }
        self.begin(session, &run, &message);
        tokio::spawn(self.turn(session, &run).play(message));
        json!({"runId": run, "status": "started"})
    }

    fn abort(&self, session: &str) -> Value {
        let Some(running) = self.finish(session, "killed") else { return json!({"ok": true, "aborted": false}) };
        let payload = json!({"runId": running.run, "sessionKey": session, "state": "aborted",
            "message": message(&running.said)});
        self.send(Out::Event { name: "chat", payload });
        let key = format!("{}:assistant", running.run);
        let mut row = message(&running.said);
        row["idempotencyKey"] = json!(key);
        self.write_down(session, with_run(row, &running.run));
        json!({"ok": true, "aborted": true, "runIds": [running.run]})
    }

    /// Ends the session's turn and returns it, if there is one.
    fn finish(&self, session: &str, status: &'static str) -> Option<Running> {
        let mut sessions = self.sessions.lock();
        let session = sessions.get_mut(session)?;
        let running = session.running.take()?;
        session.last = Some((running.run.clone(), status));
        Some(running)
    }

    fn write_down(&self, session: &str, mut row: Value) {
        row["timestamp"] = json!(jiff::Timestamp::now().as_millisecond());
        row["__openclaw"]["id"] = json!(Uuid::now_v7().to_string());
        let payload = json!({"sessionKey": session, "message": shown(&row)});
        self.sessions.lock().entry(session.to_owned()).or_default().rows.push(row);
        self.send(Out::Event { name: "session.message", payload });
    }
}

/// One turn on its way.
struct Turn {
    inner: Arc<Inner>,
    session: String,
    run: String,
    /// A retry counts its messages anew, under another name.
    attempt: &'static str,
    seq: u64,
}

impl Turn {
    async fn play(self, message: String) {
        let user = json!({"role": "user", "content": message, "idempotencyKey": format!("{}:user", self.run)});
        self.inner.write_down(&self.session, user);
        self.respond(message).await;
    }

    async fn take_up(self, message: String) {
        sleep(RECOVERY_PAUSE).await;
        self.inner.begin(&self.session, &self.run, &message);
        let user = json!({"role": "user", "content": "[System] Your previous turn was interrupted.",
            "idempotencyKey": format!("{}:user", self.run),
            "provenance": {"kind": "internal_system", "sourceTool": "main_session_restart_recovery"}});
        self.inner.write_down(&self.session, user);
        self.respond(message).await;
    }

    async fn respond(mut self, message: String) {
        self.chat(json!({"state": "status", "phase": "starting_model"}));
        match message.split([' ', ':']).next() {
            Some("fail") => return self.fail().await,
            Some("tool") => self.call_tool().await,
            Some("retry") => self.fail_and_retry().await,
            _ => {}
        }
        let ordinal = if message.starts_with("tool") { 2 } else { 1 };
        let before = self.said();
        let answer = match message.strip_prefix("long:").and_then(|count| count.parse::<usize>().ok()) {
            Some(count) => (1..=count).map(|n| format!("word{n} ")).collect(),
            None if ordinal == 2 => "Tool said: out".to_owned(),
            None => format!("Echo: {message}"),
        };
        let mut releases = self.inner.releases.subscribe();
        releases.mark_unchanged();
        let mut said = String::new();
        for (index, word) in answer.split_inclusive(' ').enumerate() {
            if index == 2 && message.starts_with("hold") && releases.changed().await.is_err() {
                return;
            }
            said.push_str(word);
            if !self.say(ordinal, &before, &said) {
                return;
            }
            sleep(PIECE_PAUSE).await;
        }
        self.end(&said);
    }

    fn end(&mut self, said: &str) {
        let all = self.said();
        if self.inner.finish(&self.session, "done").is_none() {
            return;
        }
        let row = with_run(
            json!({"role": "assistant", "content": [{"type": "text", "text": said}],
            "stopReason": "stop"}),
            &self.run,
        );
        self.inner.write_down(&self.session, row);
        self.chat(json!({"state": "final", "stopReason": "stop", "message": message(&all)}));
    }

    async fn fail(mut self) {
        if self.inner.finish(&self.session, "failed").is_none() {
            return;
        }
        let why = "LLM request failed.";
        self.chat(json!({"state": "error", "errorMessage": why}));
        self.chat(json!({"state": "error", "errorMessage": format!("Agent failed before reply: {why}")}));
        sleep(LATE_ROW_PAUSE).await;
        let row = json!({"role": "assistant", "content": [{"type": "text", "text": why}], "stopReason": "error",
            "idempotencyKey": format!("{}:terminal-error", self.run)});
        self.inner.write_down(&self.session, with_run(row, &self.run));
    }

    /// The model's answer breaks off; nothing of it is written down.
    async fn fail_and_retry(&mut self) {
        for said in ["Echo:", "Echo: retry"] {
            self.say(1, "", said);
            sleep(PIECE_PAUSE).await;
        }
        let retry = json!({"phase": "retrying", "retryAttempt": 1, "maxRetries": 8, "delayMs": 1_000});
        self.agent("run_status", &retry);
        if let Some(running) = self.inner.sessions.lock().get_mut(&self.session).and_then(|s| s.running.as_mut()) {
            running.said.clear();
        }
        self.attempt = "second";
        sleep(Duration::from_secs(1)).await;
    }

    async fn call_tool(&mut self) {
        let call = format!("call-{}", self.run);
        self.say(1, "", "I will look.");
        sleep(PIECE_PAUSE).await;
        let content = json!([{"type": "text", "text": "I will look."},
            {"type": "toolCall", "id": call, "name": "exec", "arguments": {"command": "ls"}}]);
        let row = json!({"role": "assistant", "content": content, "stopReason": "toolUse"});
        self.inner.write_down(&self.session, with_run(row, &self.run));
        let data = json!({"phase": "start", "name": "exec", "toolCallId": call, "args": {"command": "ls"}});
        self.agent("tool", &data);
        sleep(PIECE_PAUSE).await;
        let output = json!([{"type": "text", "text": "out"}]);
        self.agent(
            "tool",
            &json!({"phase": "result", "name": "exec", "toolCallId": call, "result": {"content": output}}),
        );
        let row = json!({"role": "toolResult", "toolCallId": call, "toolName": "exec", "content": output});
        self.inner.write_down(&self.session, with_run(row, &self.run));
    }

    /// False when the turn was ended in the meantime.
    fn say(&mut self, ordinal: usize, before: &str, said: &str) -> bool {
        let all = if before.is_empty() { said.to_owned() } else { format!("{before}\n\n{said}") };
        match self.inner.sessions.lock().get_mut(&self.session).and_then(|session| session.running.as_mut()) {
            Some(running) if running.run == self.run => running.said.clone_from(&all),
            _ => return false,
        }
        self.agent("assistant", &json!({"text": said.trim_end(), "itemId": format!("{}:{ordinal}", self.attempt)}));
        self.chat(json!({"state": "delta", "message": message(&all)}));
        true
    }

    fn said(&self) -> String {
        let sessions = self.inner.sessions.lock();
        sessions.get(&self.session).and_then(|s| s.running.as_ref()).map_or_else(String::new, |r| r.said.clone())
    }

    fn chat(&mut self, mut payload: Value) {
        self.seq += 1;
        payload["runId"] = json!(self.run);
        payload["sessionKey"] = json!(self.session);
        payload["seq"] = json!(self.seq);
        self.inner.send(Out::Event { name: "chat", payload });
    }

    fn agent(&mut self, stream: &str, data: &Value) {
        self.seq += 1;
        let payload = json!({"runId": self.run, "sessionKey": self.session, "stream": stream, "data": data,
            "seq": self.seq, "isHeartbeat": false});
        self.inner.send(Out::Event { name: "agent", payload });
    }
}

/// A row as pages and events have it.
fn shown(row: &Value) -> Value {
    let mut row = row.clone();
    let mut is_cut = false;
    let mut cut = |text: &mut Value| {
        if let Some((end, _)) = text.as_str().and_then(|text| text.char_indices().nth(SHOWN_CHARS_MAX)) {
            *text = json!(format!("{}\n...(truncated)...", &text.as_str().unwrap_or_default()[..end]));
            is_cut = true;
        }
    };
    cut(&mut row["content"]);
    row["content"].as_array_mut().into_iter().flatten().for_each(|part| cut(&mut part["text"]));
    if is_cut {
        row["__openclaw"]["truncated"] = json!(true);
        row["__openclaw"]["reason"] = json!("display-cap");
    }
    row
}

fn message(text: &str) -> Value {
    json!({"role": "assistant", "content": [{"type": "text", "text": text}]})
}

fn with_run(mut row: Value, run: &str) -> Value {
    row["__openclaw"]["runId"] = json!(run);
    row
}

fn full_key(session: &str) -> String {
    crate::chat::sessions::key(session, None, None)
}
