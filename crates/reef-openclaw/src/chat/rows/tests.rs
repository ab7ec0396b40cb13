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
