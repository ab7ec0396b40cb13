//! The echo model in the dialect of OpenAI's chat completions.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    Answer, LONG_WORD_DELAY, Piece, WORD_DELAY,
    script::{Reply, Said, TOOL},
};

/// Reads the conversation of a request.
pub(super) fn said(body: &Value) -> Vec<Said> {
    let messages = body["messages"].as_array().map_or(&[][..], Vec::as_slice);
    messages
        .iter()
        .flat_map(|message| texts(&message["content"]).into_iter().map(|text| of_role(message, text)))
        .collect()
}

fn of_role(message: &Value, text: String) -> Said {
    match message["role"].as_str() {
        Some("user") => Said::User(text),
        Some("tool") => Said::Tool(text),
        _ => Said::Other(text),
    }
}

/// A text, or the text parts of a list.
fn texts(content: &Value) -> Vec<String> {
    match content {
        Value::String(text) => vec![text.clone()],
        Value::Array(parts) => parts.iter().filter_map(|part| Some(part["text"].as_str()?.to_owned())).collect(),
        _ => Vec::new(),
    }
}

/// The answer as one document.
pub(super) fn whole(answer: &Answer, reply: &Reply) -> Value {
    let (message, reason) = match reply {
        Reply::Tool { command } => {
            let calls = json!([tool_call(answer, command)]);
            (json!({ "role": "assistant", "content": null, "tool_calls": calls }), "tool_calls")
        }
        Reply::Text { words, .. } => (json!({ "role": "assistant", "content": words.concat() }), "stop"),
    };
    json!({
        "id": format!("chatcmpl-{}", answer.id), "object": "chat.completion", "created": answer.created,
        "model": answer.model, "usage": usage(answer, reply),
        "choices": [{ "index": 0, "message": message, "finish_reason": reason, "logprobs": null }],
    })
}

/// The answer as events.
pub(super) fn stream(answer: &Answer, reply: &Reply) -> Vec<Piece> {
    let mut pieces = vec![Piece::now(chunk(answer, &json!({ "role": "assistant", "content": "" }), None))];
    let reason = match reply {
        Reply::Tool { command } => {
            let mut call = tool_call(answer, command);
            call["index"] = json!(0);
            let text = chunk(answer, &json!({ "tool_calls": [call] }), None);
            pieces.push(Piece { text, delay: Duration::ZERO, tokens: reply.tokens() });
            "tool_calls"
        }
        Reply::Text { words, slow } => {
            let delay = if *slow { LONG_WORD_DELAY } else { WORD_DELAY };
            pieces.extend(words.iter().map(|word| Piece {
                text: chunk(answer, &json!({ "content": word }), None),
                delay,
                tokens: 1,
            }));
            "stop"
        }
    };
    pieces.push(Piece::now(chunk(answer, &json!({}), Some(reason))));
    if answer.include_usage {
        let mut last = frame(answer);
        last["choices"] = json!([]);
        last["usage"] = usage(answer, reply);
        pieces.push(Piece::now(event(&last)));
    }
    pieces.push(Piece::now("data: [DONE]\n\n".to_owned()));
    pieces
}

fn tool_call(answer: &Answer, command: &str) -> Value {
    let arguments = json!({ "command": command }).to_string();
    json!({ "id": format!("call_{}", answer.id), "type": "function", "function": { "name": TOOL, "arguments": arguments } })
}

fn usage(answer: &Answer, reply: &Reply) -> Value {
    let (input, output) = (answer.input_tokens, reply.tokens());
    json!({ "prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output })
}

fn frame(answer: &Answer) -> Value {
    json!({
        "id": format!("chatcmpl-{}", answer.id), "object": "chat.completion.chunk", "created": answer.created,
        "model": answer.model,
    })
}

fn chunk(answer: &Answer, delta: &Value, finish_reason: Option<&str>) -> String {
    let mut chunk = frame(answer);
    chunk["choices"] = json!([{ "index": 0, "delta": delta, "finish_reason": finish_reason }]);
    event(&chunk)
}

fn event(value: &Value) -> String {
    format!("data: {value}\n\n")
}
