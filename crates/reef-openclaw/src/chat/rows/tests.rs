use serde_json::json;

use super::*;

/// A turn with words, a tool call and an answer, as a gateway stored it; the second row is shown as two.
fn turn() -> Vec<Value> {
    vec![
        json!({"role": "user", "content": "mix tool:echo hi", "timestamp": 1, "idempotencyKey": "run-1:user",
            "__openclaw": {"id": "u1", "seq": 7}}),
        json!({"role": "assistant", "content": [{"type": "text", "text": "I will run it now. "}], "timestamp": 2,
            "__openclaw": {"runId": "run-1", "id": "a1", "seq": 8}}),
        json!({"role": "assistant", "content": [{"type": "toolCall", "id": "call_1", "name": "exec",
            "arguments": {"command": "echo hi"}}], "stopReason": "toolUse", "timestamp": 2,
            "__openclaw": {"runId": "run-1", "id": "a1", "seq": 8}}),
        json!({"role": "toolResult", "toolCallId": "call_1", "toolName": "exec",
            "content": [{"type": "text", "text": "hi"}], "isError": false, "timestamp": 3,
            "__openclaw": {"runId": "run-1", "id": "t1", "seq": 9}}),
        json!({"role": "assistant", "content": [{"type": "thinking", "thinking": "Let me think."},
            {"type": "text", "text": "Tool said: hi"}], "stopReason": "stop", "timestamp": 4,
            "__openclaw": {"runId": "run-1", "id": "a2", "seq": 10}}),
    ]
}

fn shape(items: &[ChatItem]) -> Vec<(&str, ChatRole, &str)> {
    items.iter().map(|item| (item.id.as_str(), item.role, item.text.as_str())).collect()
}

#[test]
fn a_turn() {
    let projection = project(&turn(), false, None);
    assert_eq!(
        shape(&projection.items),
        [
            ("run-1:user", ChatRole::User, "mix tool:echo hi"),
            ("run-1:1", ChatRole::Assistant, "I will run it now."),
            ("tool:call_1", ChatRole::Tool, "echo hi\nhi"),
            ("run-1:2:thinking", ChatRole::Thinking, "Let me think."),
            ("run-1:2", ChatRole::Assistant, "Tool said: hi"),
        ]
    );
    assert_eq!(projection.items[2].tool.as_deref(), Some("exec"));
    assert_eq!(projection.items[0].at, Timestamp::from_millisecond(1).ok());
    assert!(projection.items.iter().all(|item| !item.streaming));
    assert_eq!(projection.assistant_rows["run-1"], ["a1", "a2"]);
}

#[test]
fn a_tool_call_without_result_is_open_only_while_its_run_is() {
    let rows = &turn()[..3];
    assert!(project(rows, false, Some("run-1")).items[2].streaming);
    assert!(!project(rows, false, Some("run-2")).items[2].streaming);
    assert!(!project(rows, false, None).items[2].streaming);
}

#[test]
fn a_run_whose_start_is_not_on_the_page_is_not_counted() {
    let rows = &turn()[3..];
    let items = project(rows, true, None).items;
    assert_eq!(shape(&items)[0], ("tool:call_1", ChatRole::Tool, "hi"));
    assert_eq!(shape(&items)[2].0, "row:a2");
    assert_eq!(shape(&project(rows, false, None).items)[2].0, "run-1:1");
}

#[test]
fn failures() {
    let refused = json!({"role": "assistant", "content": [{"type": "text", "text": "LLM request failed."}],
        "stopReason": "error", "idempotencyKey": "run-2:terminal-error", "__openclaw": {"runId": "run-2", "id": "e1"}});
    let cut_off = json!({"role": "assistant", "content": [{"type": "text", "text": "Half an ans"}],
        "stopReason": "error", "errorMessage": "connection lost", "__openclaw": {"runId": "run-3", "id": "e2"}});
    assert_eq!(
        shape(&project(&[refused, cut_off], false, None).items),
        [
            ("run-2:error", ChatRole::Error, "LLM request failed."),
            ("run-3:1", ChatRole::Assistant, "Half an ans"),
            ("run-3:1:error", ChatRole::Error, "connection lost"),
        ]
    );
}

#[test]
fn rows_outside_of_runs() {
    let rows = [
        json!({"role": "user", "content": [{"type": "text", "text": "from elsewhere"}], "__openclaw": {"id": "u9"}}),
        json!({"role": "assistant", "content": [{"type": "text", "text": "status"}], "idempotencyKey": "run-4",
            "__openclaw": {"id": "a9"}}),
        json!({"role": "assistant", "content": [{"type": "text", "text": "NO_REPLY"}], "__openclaw": {"id": "a8"}}),
        json!({"role": "user", "timestamp": 5, "content":
            "<<<BEGIN_OPENCLAW_INTERNAL_CONTEXT>>>x<<<END_OPENCLAW_INTERNAL_CONTEXT>>>"}),
        json!({"role": "assistant", "content": [], "__openclaw": {"id": "c1", "kind": "compaction"}}),
        json!({"role": "system", "content": "note", "timestamp": 6}),
        json!({"role": "novelty", "content": "?"}),
        json!("garbage"),
    ];
    assert_eq!(
        shape(&project(&rows, false, None).items),
        [
            ("row:u9", ChatRole::User, "from elsewhere"),
            ("run-4:1", ChatRole::Assistant, "status"),
            ("row:c1", ChatRole::System, "Earlier messages were summarised for the model."),
            ("row:system:6", ChatRole::System, "note"),
        ]
    );
}

#[test]
fn a_turn_that_is_taken_up_again_is_one_turn() {
    let user = |run: &str, id: &str| json!({"role": "user", "content": "go", "idempotencyKey": format!("{run}:user"), "__openclaw": {"id": id}});
    let goes_on = |run: &str, id: &str| {
        let mut row = user(run, id);
        row["provenance"] = json!({"kind": "internal_system", "sourceTool": RECOVERY});
        row
    };
    let says =
        |run: &str, id: &str| json!({"role": "assistant", "content": "word", "__openclaw": {"runId": run, "id": id}});
    let rows = [
        user("run-1", "u1"),
        says("run-1", "a1"),
        goes_on("run-2", "s1"),
        says("run-2", "a2"),
        goes_on("run-3", "s2"),
        says("run-3", "a3"),
        user("run-4", "u2"),
        says("run-4", "a4"),
    ];
    let projection = project(&rows, false, Some("run-4"));
    let ids: Vec<&str> = projection.items.iter().map(|item| item.id.as_str()).collect();
    assert_eq!(ids, ["run-1:user", "run-1:1", "row:s1", "run-1:2", "row:s2", "run-1:3", "run-4:user", "run-4:1"],);
    assert_eq!(projection.items[2].text, TAKEN_UP);
    assert_eq!(projection.last_turn.as_deref(), Some("run-4"));
    // Without its beginning it is a turn of its own.
    assert!(project(&rows[1..4], true, None).taken_up.is_empty());
}

#[test]
fn a_turn_that_is_lost_says_so() {
    let notice = json!({"role": "assistant", "content": [{"type": "text", "text": "I couldn't continue."}],
        "idempotencyKey": "main-session-restart-recovery:run-1:failed-notice", "__openclaw": {"id": "n1"}});
    let projection = project(&[notice], false, None);
    assert_eq!(shape(&projection.items), [("run-1:error", ChatRole::Error, "I couldn't continue.")]);
    assert!(projection.assistant_rows.is_empty());
}

#[test]
fn what_the_gateway_cut_is_marked() {
    let row = json!({"role": "assistant", "content": [{"type": "text", "text": "wor\n...(truncated)..."}],
        "__openclaw": {"runId": "run-1", "id": "a1", "truncated": true}});
    assert!(Row::parse(&row).unwrap().lacks_words());
    assert_eq!(shape(&project(&[row], false, None).items), [("run-1:1", ChatRole::Assistant, "wor…")]);
}
