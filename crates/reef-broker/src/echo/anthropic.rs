//! The echo model in the dialect of Anthropic's messages.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    Answer, LONG_WORD_DELAY, Piece, WORD_DELAY,
    script::{Reply, Said, TOOL},
};

/// Reads the conversation of a request.
pub(super) fn said(body: &Value) -> Vec<Said> {
    let messages = body["messages"].as_array().map_or(&[][..], Vec::as_slice);
    messages.iter().flat_map(|message| blocks(message["role"] == "user", &message["content"])).collect()
}

fn blocks(user: bool, content: &Value) -> Vec<Said> {
    let by = |text: &str| if user { Said::User(text.to_owned()) } else { Said::Other(text.to_owned()) };
    match content {
        Value::String(text) => vec![by(text)],
        Value::Array(parts) => parts
            .iter()
            .filter_map(|part| match part["type"].as_str()? {
                "text" => part["text"].as_str().map(by),
                "tool_result" => Some(Said::Tool(plain(&part["content"]))),
                _ => None,
            })
            .collect(),
        _ => Vec::new(),
    }
}

fn plain(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().filter_map(|part| part["text"].as_str()).collect::<Vec<_>>().join("\n"),
        _ => String::new(),
    }
}

/// The answer as one document.
pub(super) fn whole(answer: &Answer, reply: &Reply) -> Value {
    let (block, reason) = match reply {
        Reply::Tool { command } => (tool_use(answer, &json!({ "command": command })), "tool_use"),
        Reply::Text { words, .. } => (json!({ "type": "text", "text": words.concat() }), "end_turn"),
    };
    let mut message = message(answer, &json!([block]), reply.tokens());
    message["stop_reason"] = json!(reason);
    message
}

/// The answer as events.
pub(super) fn stream(answer: &Answer, reply: &Reply) -> Vec<Piece> {
    let start = json!({ "type": "message_start", "message": message(answer, &json!([]), 0) });
    let mut pieces = vec![Piece::now(event(&start))];
    let block_start = |block: Value| json!({ "type": "content_block_start", "index": 0, "content_block": block });
    let delta = |delta: Value| event(&json!({ "type": "content_block_delta", "index": 0, "delta": delta }));
    let reason = match reply {
        Reply::Tool { command } => {
            pieces.push(Piece::now(event(&block_start(tool_use(answer, &json!({}))))));
            let input = json!({ "command": command }).to_string();
            let text = delta(json!({ "type": "input_json_delta", "partial_json": input }));
            pieces.push(Piece { text, delay: Duration::ZERO, tokens: reply.tokens() });
            "tool_use"
        }
        Reply::Text { words, slow } => {
            pieces.push(Piece::now(event(&block_start(json!({ "type": "text", "text": "" })))));
            let delay = if *slow { LONG_WORD_DELAY } else { WORD_DELAY };
            let piece = |word| Piece { text: delta(json!({ "type": "text_delta", "text": word })), delay, tokens: 1 };
            pieces.extend(words.iter().map(piece));
            "end_turn"
        }
    };
    pieces.push(Piece::now(event(&json!({ "type": "content_block_stop", "index": 0 }))));
    pieces.push(Piece::now(event(&json!({
        "type": "message_delta", "delta": { "stop_reason": reason, "stop_sequence": null },
        "usage": { "output_tokens": reply.tokens() },
    }))));
    pieces.push(Piece::now(event(&json!({ "type": "message_stop" }))));
    pieces
}

fn message(answer: &Answer, content: &Value, output_tokens: u64) -> Value {
    json!({
        "id": format!("msg_{}", answer.id), "type": "message", "role": "assistant", "model": answer.model,
        "content": content, "stop_reason": null, "stop_sequence": null,
        "usage": { "input_tokens": answer.input_tokens, "output_tokens": output_tokens },
    })
}

fn tool_use(answer: &Answer, input: &Value) -> Value {
    json!({ "type": "tool_use", "id": format!("toolu_{}", answer.id), "name": TOOL, "input": input })
}

fn event(value: &Value) -> String {
    let name = value["type"].as_str().unwrap_or_default();
    format!("event: {name}\ndata: {value}\n\n")
}
