use serde_json::json;

use super::*;

mod model;
mod property;

use model::Screen;

const SESSION: &str = "agent:main:main";

fn event(name: &str, payload: Value) -> Event {
    Event { event: name.to_owned(), payload, seq: None }
}

fn chat(state: &str, more: Value) -> Event {
    let mut payload = json!({"runId": "run-1", "sessionKey": SESSION, "state": state});
    payload.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    event("chat", payload)
}

fn said(text: &str) -> Value {
    json!({"message": {"role": "assistant", "content": [{"type": "text", "text": text}]}})
}

fn agent(stream: &str, data: Value) -> Event {
    event(
        "agent",
        json!({"runId": "run-1", "sessionKey": SESSION, "stream": stream, "data": data, "isHeartbeat": false}),
    )
}

fn words(item: &str, text: &str) -> Event {
    agent("assistant", json!({"text": text, "itemId": item}))
}

fn row(message: Value) -> Event {
    event("session.message", json!({"sessionKey": SESSION, "message": message}))
}

fn user_row(text: &str) -> Value {
    json!({"role": "user", "content": text, "idempotencyKey": "run-1:user", "__openclaw": {"id": "u1"}})
}

fn assistant_row(id: &str, text: &str) -> Value {
    json!({"role": "assistant", "content": [{"type": "text", "text": text}],
        "__openclaw": {"runId": "run-1", "id": id}})
}

/// A tracker, a clock and what a person would see.
struct Lab {
    tracker: Tracker,
    now: Instant,
    screen: Screen,
}

impl Lab {
    fn new() -> Self {
        Self { tracker: Tracker::default(), now: Instant::now(), screen: Screen::default() }
    }

    fn feed(&mut self, event: Event) -> Vec<ChatChange> {
        let events = self.tracker.on_event(&event, self.now);
        self.show(events)
    }

    fn tick(&mut self, after: Duration) -> Vec<ChatChange> {
        self.now += after;
        let events = self.tracker.on_tick(self.now);
        self.show(events)
    }

    fn show(&mut self, events: Vec<ChatEvent>) -> Vec<ChatChange> {
        let changes: Vec<ChatChange> = events
            .into_iter()
            .map(|event| {
                assert_eq!(event.session, SESSION);
                event.change
            })
            .collect();
        changes.iter().for_each(|change| self.screen.apply(change));
        changes
    }
}

fn is_reload(changes: &[ChatChange]) -> bool {
    changes.contains(&ChatChange::Reload)
}

fn page(messages: Vec<Value>) -> HistoryPage {
    HistoryPage { messages, ..HistoryPage::default() }
}

#[test]
fn a_turn_ends_as_its_history_reads() {
    let mut lab = Lab::new();
    lab.feed(chat("status", json!({"phase": "preparing_workspace"})));
    lab.feed(row(user_row("hello")));
    lab.feed(words("a:1", "Echo:"));
    lab.feed(chat("delta", said("Echo:")));
    lab.feed(words("a:1", "Echo: hello"));
    assert_eq!(lab.screen.texts(), [("run-1:user", "hello"), ("run-1:1", "Echo: hello")]);
    lab.feed(row(assistant_row("a1", "Echo: hello ")));
    let end = lab.feed(chat("final", said("Echo: hello")));
    assert!(is_reload(&end), "the row was there: {end:?}");
    assert_eq!(lab.screen.phases, ["preparing", "answering", "done"]);

    let history = rows::project(&[user_row("hello"), assistant_row("a1", "Echo: hello ")], false, None).items;
    assert_eq!(lab.screen.texts(), history.iter().map(|i| (i.id.as_str(), i.text.as_str())).collect::<Vec<_>>());
    assert!(lab.screen.items.iter().all(|item| !item.streaming));
}

#[test]
fn reload_waits_for_the_row_that_comes_after_the_end() {
    for (end, phase) in [
        (chat("aborted", said("word0 word1")), "aborted"),
        (chat("error", json!({"errorMessage": "no credit"})), "failed"),
        (chat("final", said("word0 word1")), "done"),
    ] {
        let mut lab = Lab::new();
        lab.feed(words("a:1", "word0"));
        assert!(!is_reload(&lab.feed(end.clone())), "{phase}");
        assert_eq!(lab.screen.phases.last().map(String::as_str), Some(phase));
        assert!(is_reload(&lab.feed(row(assistant_row("a1", "word0 word1")))), "{phase}");
        assert!(!is_reload(&lab.tick(ROW_WAIT * 2)), "once is enough: {phase}");

        let mut lab = Lab::new();
        lab.feed(words("a:1", "word0"));
        lab.feed(end);
        assert!(!is_reload(&lab.tick(ROW_WAIT / 2)), "{phase}");
        assert!(is_reload(&lab.tick(ROW_WAIT)), "the row never came: {phase}");
    }
}

#[test]
fn a_failure_that_is_announced_twice_is_one() {
    let mut lab = Lab::new();
    lab.feed(chat("error", json!({"errorMessage": "no credit"})));
    assert!(lab.feed(chat("error", json!({"errorMessage": "Agent failed before reply: no credit"}))).is_empty());
    assert_eq!(lab.screen.phases, ["failed"]);
    assert_eq!(lab.screen.message.as_deref(), Some("no credit"));
}

#[test]
fn a_message_that_was_taken_into_another_turn_is_done_at_once() {
    let mut lab = Lab::new();
    let events = lab.tracker.on_sent(SESSION, "run-1", lab.now);
    lab.show(events);
    assert!(is_reload(&lab.feed(chat("final", json!({})))));
    assert_eq!(lab.screen.phases, ["queued", "done"]);
}

#[test]
fn tools() {
    let mut lab = Lab::new();
    let call = json!({"role": "assistant", "content": [{"type": "toolCall", "id": "c1", "name": "exec",
        "arguments": {"command": "echo hi\nexit 3"}}], "__openclaw": {"runId": "run-1", "id": "a1"}});
    let result = json!({"role": "toolResult", "toolCallId": "c1", "toolName": "exec",
        "content": [{"type": "text", "text": "hi"}], "__openclaw": {"runId": "run-1", "id": "t1"}});
    let content = json!({"content": [{"type": "text", "text": "hi"}]});
    lab.feed(chat("status", json!({})));
    lab.feed(row(call.clone()));
    lab.feed(agent(
        "tool",
        json!({"phase": "start", "name": "exec", "toolCallId": "c1",
        "args": {"command": "echo hi\nexit 3"}}),
    ));
    lab.feed(event(
        "session.tool",
        json!({"runId": "run-1", "sessionKey": SESSION, "stream": "tool",
        "data": {"phase": "update", "name": "exec", "toolCallId": "c1", "partialResult": content}}),
    ));
    assert_eq!(lab.screen.texts(), [("tool:c1", "echo hi\nexit 3\nhi")]);
    assert!(lab.screen.items[0].streaming);
    lab.feed(agent("tool", json!({"phase": "result", "name": "exec", "toolCallId": "c1", "result": content})));
    assert!(!lab.screen.items[0].streaming);
    lab.feed(row(result.clone()));
    let history = rows::project(&[call, result], false, None).items;
    assert_eq!(lab.screen.texts(), [("tool:c1", history[0].text.as_str())]);
    assert_eq!(lab.screen.items[0].tool.as_deref(), Some("exec"));
}

#[test]
fn messages_and_thoughts_of_one_turn_keep_apart() {
    let mut lab = Lab::new();
    lab.feed(agent("thinking", json!({"text": "Let me"})));
    lab.feed(agent("thinking", json!({"text": "Let me think"})));
    lab.feed(words("a:1", "I will run it."));
    lab.feed(row(assistant_row("a1", "I will run it.")));
    lab.feed(agent("thinking", json!({"text": "Again"})));
    lab.feed(words("a:2", "Done."));
    assert_eq!(
        lab.screen.texts(),
        [
            ("run-1:1:thinking", "Let me think"),
            ("run-1:1", "I will run it."),
            ("run-1:2:thinking", "Again"),
            ("run-1:2", "Done.")
        ]
    );
    assert_eq!(lab.screen.phases, ["thinking", "answering", "thinking", "answering"]);
}

#[test]
fn words_before_a_tool_call_may_come_as_a_preamble_only() {
    let mut lab = Lab::new();
    let call = json!({"role": "assistant", "content": [{"type": "toolCall", "id": "c1", "name": "exec",
        "arguments": {"command": "ls"}}], "__openclaw": {"runId": "run-1", "id": "a1"}});
    let preamble =
        |text: &str| agent("item", json!({"kind": "preamble", "itemId": "commentary-0", "progressText": text}));
    lab.feed(preamble("I will"));
    lab.feed(preamble("I will look."));
    lab.feed(row(call));
    assert_eq!(lab.screen.texts(), [("run-1:1", "I will look."), ("tool:c1", "ls")]);
    assert!(!lab.screen.items[0].streaming);
    assert!(lab.feed(preamble("I will look.")).is_empty(), "late");
    lab.feed(words("a:2", "Done."));
    assert_eq!(lab.screen.texts().last(), Some(&("run-1:2", "Done.")));
}

#[test]
fn a_retry_does_not_write_over_what_is_in_the_transcript() {
    let mut lab = Lab::new();
    lab.feed(words("first:1", "I will run it."));
    lab.feed(row(assistant_row("a1", "I will run it.")));
    lab.feed(agent("run_status", json!({"phase": "retrying", "retryAttempt": 2, "maxRetries": 8})));
    assert_eq!(lab.screen.message.as_deref(), Some("retry 2 of 8"));
    lab.feed(words("second:1", "Done."));
    assert_eq!(lab.screen.texts(), [("run-1:1", "I will run it."), ("run-1:2", "Done.")]);
    // What was held back of the first attempt comes late and says nothing new.
    assert!(lab.feed(words("first:1", "I will")).is_empty());
}

#[test]
fn answers_without_an_agent_come_by_row() {
    let mut lab = Lab::new();
    let answer = json!({"role": "assistant", "content": [{"type": "text", "text": "all well"}],
        "idempotencyKey": "run-1", "__openclaw": {"id": "a1"}});
    assert!(!is_reload(&lab.feed(chat("final", said("all well")))));
    assert!(is_reload(&lab.feed(row(answer))));
    assert_eq!(lab.screen.texts(), [("run-1:1", "all well")]);
}

#[test]
fn words_from_chat_alone() {
    let mut lab = Lab::new();
    lab.feed(chat("delta", json!({"deltaText": "Hel"})));
    lab.feed(chat("delta", json!({"deltaText": "lo"})));
    assert_eq!(lab.screen.texts(), [("run-1:1", "Hello")]);
    lab.feed(chat("delta", json!({"deltaText": "Bye", "replace": true})));
    assert_eq!(lab.screen.texts(), [("run-1:1", "Bye")]);
    lab.feed(chat("delta", said("Bye bye")));
    assert_eq!(lab.screen.texts(), [("run-1:1", "Bye bye")]);
}

#[test]
fn what_is_not_for_people_is_not_shown() {
    let mut lab = Lab::new();
    let heartbeat = json!({"runId": "h", "sessionKey": SESSION, "stream": "assistant", "data": {"text": "x"},
        "isHeartbeat": true});
    for quiet in [
        event("agent", heartbeat),
        event("health", json!({"ok": true})),
        event("chat", json!({"runId": 1})),
        event("session.message", json!({})),
        agent("usage", json!({"outputTokens": 1})),
        agent("assistant", json!({"itemId": "a:1"})),
        words("a:1", "NO_RE"),
        words("a:1", "NO_REPLY"),
    ] {
        assert_eq!(lab.feed(quiet.clone()), [], "{quiet:?}");
    }
}

#[test]
fn an_agent_that_ends_without_a_word_from_the_gateway_ends_the_turn() {
    let mut lab = Lab::new();
    lab.feed(words("a:1", "hello"));
    lab.feed(row(assistant_row("a1", "hello")));
    lab.feed(agent("lifecycle", json!({"phase": "end", "executionSettled": true})));
    assert!(lab.tick(END_WAIT / 2).is_empty());
    assert!(is_reload(&lab.tick(END_WAIT)));
    assert_eq!(lab.screen.phases.last().map(String::as_str), Some("done"));
}

#[test]
fn a_fresh_hub_takes_up_a_turn_that_goes_on() {
    let mut lab = Lab::new();
    let mut page = page(vec![user_row("mix"), assistant_row("a1", "I will run it. ")]);
    page.in_flight_run =
        serde_json::from_value(json!({"runId": "run-1", "text": "I will run it.\n\nword0 wo"})).unwrap();
    page.session_info = serde_json::from_value(json!({"status": "running"})).unwrap();
    let events = lab.tracker.on_resync(SESSION, &page, lab.now);
    lab.show(events);
    let (history, _) = lab.tracker.on_history(SESSION, &page, lab.now);
    assert_eq!(
        history.last().map(|i| (i.id.as_str(), i.text.as_str(), i.streaming)),
        Some(("run-1:2", "word0 wo", true))
    );
    assert_eq!(lab.screen.phases, ["answering"]);
    assert_eq!(lab.screen.reloads, 1);
    lab.feed(words("a:2", "word0 word1"));
    assert_eq!(lab.screen.texts(), [("run-1:2", "word0 word1")]);
    lab.feed(row(assistant_row("a2", "word0 word1")));
    assert!(is_reload(&lab.feed(chat("final", said("I will run it.\n\nword0 word1")))));
}

#[test]
fn a_turn_that_ended_while_nobody_listened_is_over() {
    for (status, expect) in [("done", "done"), ("failed", "failed"), ("killed", "aborted")] {
        let mut lab = Lab::new();
        lab.feed(words("a:1", "word0"));
        let mut page = page(vec![user_row("x"), assistant_row("a1", "word0 word1")]);
        page.session_info = serde_json::from_value(json!({"status": status, "lastRunId": "run-1"})).unwrap();
        let events = lab.tracker.on_resync(SESSION, &page, lab.now);
        lab.show(events);
        assert_eq!(lab.screen.phases.last().map(String::as_str), Some(expect));
        assert!(lab.tracker.on_history(SESSION, &page, lab.now).0.iter().all(|item| !item.streaming));
    }
}

#[test]
fn a_page_that_is_newer_than_the_events_wins() {
    let mut lab = Lab::new();
    lab.feed(words("a:1", "word0"));
    let mut page = page(vec![assistant_row("a1", "word0 word1")]);
    page.in_flight_run = serde_json::from_value(json!({"runId": "run-1", "text": "word0 word1"})).unwrap();
    let (items, _) = lab.tracker.on_history(SESSION, &page, lab.now);
    assert_eq!(items.iter().map(|i| (i.text.as_str(), i.streaming)).collect::<Vec<_>>(), [("word0 word1", false)]);
}

/// An agent that was taken over may send whatever it likes, for as long as it likes.
#[test]
fn memory_is_bounded_for_one_turn() {
    let mut tracker = Tracker::default();
    let now = Instant::now();
    let long = "é".repeat(text::ITEM_BYTES_MAX);
    let mut longest = 0;
    let mut feed = |tracker: &mut Tracker, event: Event| {
        for event in tracker.on_event(&event, now) {
            if let ChatChange::Item(item) = event.change {
                longest = longest.max(item.text.len());
            }
        }
    };
    for _ in 0..4 {
        feed(&mut tracker, chat("delta", json!({"deltaText": long})));
    }
    for n in 0..600 {
        feed(&mut tracker, agent("tool", json!({"toolCallId": format!("c{n}"), "phase": "start", "args": {}})));
        feed(&mut tracker, words(&format!("a{n}:1"), "hello"));
    }
    for n in 0..4 {
        feed(&mut tracker, words(&format!("a0:{n}"), &long));
    }
    feed(&mut tracker, words(&long, "hello"));
    feed(&mut tracker, agent("tool", json!({"toolCallId": long, "phase": "start"})));
    feed(&mut tracker, row(assistant_row(&long, "hello")));
    feed(&mut tracker, event("chat", json!({"runId": long, "sessionKey": SESSION, "state": "delta"})));
    feed(&mut tracker, row(assistant_row("a1", &long)));
    let cut = text::ITEM_BYTES_MAX + "…".len();
    assert_eq!((tracker.runs.len(), longest), (1, cut));
    assert!(tracker.runs["run-1"].chat_text.capacity() <= text::ITEM_BYTES_MAX);
    let items = tracker.runs["run-1"].live_items();
    assert!(items.len() <= 64 && items.iter().map(|item| item.text.len()).sum::<usize>() <= 2 * cut);
    assert!(format!("{tracker:?}").len() < 2 << 20, "nothing else of it is kept");
}

#[test]
fn memory_is_bounded() {
    let mut tracker = Tracker::default();
    let start = Instant::now();
    for n in 0..2 * RUNS_MAX {
        let now = start + Duration::from_millis(n as u64);
        tracker.on_sent(&format!("agent:main:s{n}"), &format!("run-{n}"), now);
    }
    assert_eq!(tracker.runs.len(), RUNS_MAX);
    assert!(!tracker.runs.contains_key("run-0"));
    assert_eq!(tracker.known_sessions().len(), SESSIONS_MAX);

    let mut lab = Lab::new();
    lab.feed(chat("final", json!({})));
    lab.tick(SETTLED_KEEP);
    assert!(lab.tracker.runs.is_empty());
}
