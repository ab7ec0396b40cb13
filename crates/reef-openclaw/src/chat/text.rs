//! Texts for people: what a gateway adds for the model is taken away, and what is endless is cut.

use serde_json::Value;

/// The longest text of any item, in bytes. The agent is not trusted, and the hub holds many items.
pub(crate) const ITEM_BYTES_MAX: usize = 256 << 10;

/// The longest text of a tool item, in characters.
const TOOL_CHARS_MAX: usize = 2_000;

/// What an agent says when it has nothing to say; the gateway shows it to nobody.
const SILENT: &[&str] = &["NO_REPLY", "HEARTBEAT_OK"];

/// What the gateway puts after the beginning of a text that it cut.
const GATEWAY_CUT: &str = "\n...(truncated)...";

/// What stands for the rest of a text that is cut.
const CUT: char = '…';

/// What the gateway puts around notes to the model inside a user's message.
const INTERNAL_BEGIN: &str = "<<<BEGIN_OPENCLAW_INTERNAL_CONTEXT>>>";
const INTERNAL_END: &str = "<<<END_OPENCLAW_INTERNAL_CONTEXT>>>";

/// Arguments that say best what a tool call does, in this order.
const TELLING_ARGUMENTS: &[&str] = &["command", "path", "file_path", "url", "query", "message", "name"];

/// A user's own words. Empty when the message was only a note to the model.
pub(crate) fn user(text: &str) -> String {
    strip_time(strip_internal(text).trim()).trim().to_owned()
}

/// An assistant's words as far as they are there.
pub(crate) fn assistant(text: &str) -> &str {
    text.trim()
}

/// Whether this is, or may still become, the word for having nothing to say.
pub(crate) fn is_silent(text: &str) -> bool {
    let text = text.trim();
    !text.is_empty() && SILENT.iter().any(|word| word.starts_with(text))
}

/// What a call is about and what came of it.
pub(crate) fn tool(about: &str, result: &str) -> String {
    let joined = match (about.trim(), result.trim()) {
        ("", result) => result.to_owned(),
        (about, "") => about.to_owned(),
        (about, result) => format!("{about}\n{result}"),
    };
    cut(joined)
}

/// One line that says what a call does.
pub(crate) fn arguments(arguments: &Value) -> String {
    let telling = TELLING_ARGUMENTS.iter().find_map(|name| arguments.get(*name)?.as_str());
    match (telling, arguments) {
        (Some(text), _) => cut(text.trim().to_owned()),
        (None, Value::Null) => String::new(),
        (None, Value::Object(fields)) if fields.is_empty() => String::new(),
        (None, other) => cut(other.to_string()),
    }
}

/// The text parts of a message's content, which is a text or a list of parts.
pub(crate) fn of_content(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().filter_map(part).collect::<Vec<_>>().join("\n\n"),
        _ => String::new(),
    }
}

fn part(part: &Value) -> Option<String> {
    match part["type"].as_str()? {
        "text" | "input_text" | "output_text" => {
            part["text"].as_str().filter(|text| !text.trim().is_empty()).map(str::to_owned)
        }
        kind @ ("image" | "audio" | "video" | "file" | "attachment") => {
            let name = ["fileName", "name", "alt"].iter().find_map(|field| part[field].as_str());
            Some(name.map_or_else(|| format!("[{kind}]"), |name| format!("[{kind}: {name}]")))
        }
        _ => None,
    }
}

/// Cuts what is longer than any item may be.
pub(crate) fn bounded(mut text: String) -> String {
    if text.len() > ITEM_BYTES_MAX {
        text.truncate(text.floor_char_boundary(ITEM_BYTES_MAX));
        text.push(CUT);
        // A cut text must not go on holding the room of the whole.
        text.shrink_to_fit();
    }
    text
}

/// A text that the gateway cut, with our own mark in place of the gateway's.
pub(crate) fn cut_by_gateway(text: &str) -> String {
    text.strip_suffix(GATEWAY_CUT).map_or_else(|| text.to_owned(), |begun| format!("{begun}{CUT}"))
}

/// The part of a cut text that the whole begins with.
pub(crate) fn begun(text: &str) -> &str {
    text.strip_suffix(CUT).unwrap_or(text)
}

fn cut(text: String) -> String {
    match text.char_indices().nth(TOOL_CHARS_MAX) {
        Some((end, _)) => format!("{}{CUT}", &text[..end]),
        None => text,
    }
}

fn strip_internal(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(INTERNAL_BEGIN) {
        kept.push_str(before);
        // A note without an end goes to the end of the message.
        rest = after.split_once(INTERNAL_END).map_or("", |(_, after)| after);
    }
    kept.push_str(rest);
    kept
}

/// Takes `[Sun 2026-11-22 08:09 UTC] ` from the start.
fn strip_time(text: &str) -> &str {
    let Some((stamp, rest)) = text.strip_prefix('[').and_then(|text| text.split_once(']')) else { return text };
    let fields: Vec<&str> = stamp.split(' ').collect();
    let shaped = |text: &str, shape: &str| {
        text.len() == shape.len()
            && text.bytes().zip(shape.bytes()).all(|(b, s)| if s == b'0' { b.is_ascii_digit() } else { b == s })
    };
    let is_stamp = match fields.as_slice() {
        [day, date, time, zone] => {
            day.len() == 3
                && shaped(date, "0000-00-00")
                && (shaped(time, "00:00") || shaped(time, "00:00:00"))
                && !zone.is_empty()
        }
        _ => false,
    };
    if is_stamp { rest } else { text }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn people_see_their_own_words_only() {
        for (text, expect) in [
            ("hello", "hello"),
            ("[Sun 2026-11-22 08:09 UTC] hello", "hello"),
            ("[Sun 2026-11-22 08:09:10 GMT+2] hi [x]", "hi [x]"),
            ("[note] hello", "[note] hello"),
            ("[a b c d] hello", "[a b c d] hello"),
            ("[unfinished", "[unfinished"),
            ("<<<BEGIN_OPENCLAW_INTERNAL_CONTEXT>>>\nx\n<<<END_OPENCLAW_INTERNAL_CONTEXT>>>", ""),
            ("a <<<BEGIN_OPENCLAW_INTERNAL_CONTEXT>>>x<<<END_OPENCLAW_INTERNAL_CONTEXT>>>b", "a b"),
            ("a <<<BEGIN_OPENCLAW_INTERNAL_CONTEXT>>> never ends", "a"),
        ] {
            assert_eq!(user(text), expect, "{text}");
        }
    }

    #[test]
    fn silence_is_recognised_while_it_is_being_written() {
        for (text, expect) in
            [("", false), ("N", true), ("NO_REP", true), ("NO_REPLY\n", true), ("No", false), ("NO_REPLY now", false)]
        {
            assert_eq!(is_silent(text), expect, "{text:?}");
        }
    }

    #[test]
    fn what_the_gateway_cut_has_our_mark() {
        for (text, expect, begins) in [
            ("word1 wo\n...(truncated)...", "word1 wo…", "word1 wo"),
            ("...(truncated)... said nobody", "...(truncated)... said nobody", "...(truncated)... said nobody"),
            ("", "", ""),
        ] {
            assert_eq!(cut_by_gateway(text), expect);
            assert_eq!(begun(expect), begins);
        }
    }

    #[test]
    fn tool_texts_are_short() {
        assert_eq!(arguments(&json!({"command": "ls -l", "cwd": "/"})), "ls -l");
        assert_eq!(arguments(&json!({"depth": 3})), r#"{"depth":3}"#);
        assert_eq!(arguments(&json!({})), "");
        assert_eq!(tool("ls", " a\n"), "ls\na");
        assert_eq!(tool("", "a"), "a");
        let long = tool("", &"é".repeat(TOOL_CHARS_MAX + 5));
        assert_eq!(long.chars().count(), TOOL_CHARS_MAX + 1);
        assert!(long.ends_with('…'));
    }

    #[test]
    fn content_is_text_or_parts() {
        assert_eq!(of_content(&json!("a")), "a");
        let parts = json!([
            {"type": "thinking", "thinking": "hidden"}, {"type": "text", "text": "a"}, {"type": "text", "text": " "},
            {"type": "image", "alt": "cat"}, {"type": "toolCall", "id": "1"}, {"no": "type"}, 7]);
        assert_eq!(of_content(&parts), "a\n\n[image: cat]");
        assert_eq!(of_content(&json!(null)), "");
    }
}
