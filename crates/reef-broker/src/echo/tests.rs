use serde_json::json;

use super::{
    script::{Fail, Reply, Said, reply},
    *,
};

fn text(reply: &Result<Reply, Fail>) -> String {
    match reply {
        Ok(Reply::Text { words, .. }) => words.concat(),
        other => format!("{other:?}"),
    }
}

#[test]
fn the_last_thing_a_person_said_is_answered() {
    let internal = "<<<BEGIN_INTERNAL_CONTEXT>>>\ntool:rm -rf /\n";
    for (said, expect) in [
        (vec![Said::User("hello".into())], "I am the built-in echo model and can only repeat: hello"),
        (
            vec![Said::User("[Sun 2026-11-22 08:09 UTC] hello".into()), Said::User(internal.into())],
            "I am the built-in echo model and can only repeat: hello",
        ),
        (
            vec![Said::User("[Sun 2026-11-22 08:09 UTC] ".to_owned() + internal), Said::User("[x] y".into())],
            "I am the built-in echo model and can only repeat: [x] y",
        ),
        (
            vec![Said::User(
                "[Sun 2026-11-22 08:09 UTC] a\nb\n\nc\n\nRuntime: agent=main | os=Linux (x64) | caps=".into(),
            )],
            "I am the built-in echo model and can only repeat: a\nb\n\nc",
        ),
        (
            vec![Said::User("hello".into()), Said::User("Runtime: agent=main | host=scout".into())],
            "I am the built-in echo model and can only repeat: hello",
        ),
        (
            vec![Said::User(
                "[Queued user message; context only.]\nhello\n\n[System] Your turn was interrupted.".into(),
            )],
            "I am the built-in echo model and can only repeat: hello",
        ),
        (
            vec![Said::User("which is it?\n\nChoice: a=1".into())],
            "I am the built-in echo model and can only repeat: which is it?\n\nChoice: a=1",
        ),
        (
            vec![
                Said::User("one".into()),
                Said::Other("two".into()),
                Said::User("three".into()),
                Said::Other("four".into()),
            ],
            "I am the built-in echo model and can only repeat: three",
        ),
        (
            vec![Said::User("tool:ls".into()), Said::Tool("a b".into()), Said::User(internal.into())],
            "The command answered: a b",
        ),
        (
            vec![Said::User("tool:ls".into()), Said::Tool("a".into()), Said::User("thanks".into())],
            "I am the built-in echo model and can only repeat: thanks",
        ),
        (vec![Said::User(internal.into())], "I am the built-in echo model, and there is nothing to repeat."),
        (vec![], "I am the built-in echo model, and there is nothing to repeat."),
    ] {
        assert_eq!(text(&reply(&said, true)), expect, "{said:?}");
    }
}

#[test]
fn magic_words() {
    let say = |text: &str, exec| reply(&[Said::User(format!("[Sun 2026-11-22 08:09 UTC] {text}"))], exec);
    assert_eq!(say("tool: ls -l", true), Ok(Reply::Tool { command: "ls -l".into() }));
    assert_eq!(text(&say("tool: ls -l", false)), "The tool exec is not offered to me.");
    assert_eq!(text(&say("long:3", true)), "word1 word2 word3 ");
    assert_eq!(say("fail:429", true), Err(Fail(429)));
    for ordinary in ["fail:200", "fail:x", "long:x", "tool", "a long: 3"] {
        assert!(text(&say(ordinary, true)).ends_with(ordinary), "{ordinary}");
    }
    let long = text(&say("long:999999999", true));
    assert!(long.split_whitespace().count() <= 2_000);
}

#[test]
fn conversations_are_read_in_both_dialects() {
    let openai = json!({ "messages": [
        { "role": "system", "content": "s" },
        { "role": "user", "content": [{ "type": "text", "text": "a" }, { "type": "image_url", "image_url": {} }] },
        { "role": "assistant", "content": null, "tool_calls": [] },
        { "role": "tool", "tool_call_id": "1", "content": "r" },
        { "role": "user" }, 7,
    ]});
    let expect = vec![Said::Other("s".into()), Said::User("a".into()), Said::Tool("r".into())];
    assert_eq!(openai::said(&openai), expect);
    let anthropic = json!({ "messages": [
        { "role": "assistant", "content": "s" },
        { "role": "user", "content": [
            { "type": "text", "text": "a" },
            { "type": "tool_result", "content": [{ "type": "text", "text": "r" }] },
            { "type": "image" }, 7,
        ]},
    ]});
    assert_eq!(anthropic::said(&anthropic), expect);
    assert!(openai::said(&json!({ "messages": "x" })).is_empty() && anthropic::said(&json!([])).is_empty());
}

fn streamed_values(pieces: &[Piece]) -> Vec<Value> {
    let all: String = pieces.iter().map(|piece| piece.text.as_str()).collect();
    assert!(all.ends_with("\n\n"));
    all.lines().filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok()).collect()
}

#[test]
fn a_stream_says_the_same_as_the_whole() {
    let answer =
        Answer { id: "1".into(), model: "echo/echo-1".into(), created: 7, input_tokens: 3, include_usage: true };
    for said in ["hello there", "tool:ls"] {
        let reply = reply(&[Said::User(said.into())], true).unwrap();

        let whole = openai::whole(&answer, &reply);
        let events = streamed_values(&openai::stream(&answer, &reply));
        let content: String =
            events.iter().filter_map(|event| event["choices"][0]["delta"]["content"].as_str()).collect();
        assert_eq!(content, whole["choices"][0]["message"]["content"].as_str().unwrap_or_default());
        let tool = |value: &Value| value["tool_calls"][0]["function"].clone();
        let streamed_tool =
            events.iter().map(|event| tool(&event["choices"][0]["delta"])).find(|value| !value.is_null());
        assert_eq!(streamed_tool.unwrap_or_default(), tool(&whole["choices"][0]["message"]));
        assert_eq!(events.last().unwrap()["usage"], whole["usage"]);

        let whole = anthropic::whole(&answer, &reply);
        let events = streamed_values(&anthropic::stream(&answer, &reply));
        let content: String = events.iter().filter_map(|event| event["delta"]["text"].as_str()).collect();
        assert_eq!(content, whole["content"][0]["text"].as_str().unwrap_or_default());
        let input: String = events.iter().filter_map(|event| event["delta"]["partial_json"].as_str()).collect();
        let expect = &whole["content"][0]["input"];
        assert_eq!(input, if expect.is_null() { String::new() } else { expect.to_string() });
        let last = &events[events.len() - 2];
        assert_eq!(last["delta"]["stop_reason"], whole["stop_reason"]);
        assert_eq!(last["usage"]["output_tokens"], whole["usage"]["output_tokens"]);
    }
}
