//! Reads what an answer says about its usage, while it passes by, with bounded memory. What it cannot read it lets be:
//! metering must never break an answer.

use reef_driver::agent::Dialect;
use serde_json::Value;

use crate::meter::Tokens;

/// Longest line of an event stream that is looked at, in bytes; usage comes in short ones.
const LINE_BYTES_MAX: usize = 256 << 10;
/// Longest JSON answer that is looked at, in bytes.
const JSON_BYTES_MAX: usize = 8 << 20;

/// An answer being read.
pub(crate) struct UsageScan {
    dialect: Dialect,
    events: bool,
    pending: Vec<u8>,
    /// The pending line or answer is too long and is passed over.
    skipping: bool,
    tokens: Tokens,
}

impl UsageScan {
    /// A scan of an event stream (`events`) or of one JSON document.
    pub(crate) fn new(dialect: Dialect, events: bool) -> Self {
        Self { dialect, events, pending: Vec::new(), skipping: false, tokens: Tokens::default() }
    }

    /// Takes the next bytes.
    pub(crate) fn feed(&mut self, mut bytes: &[u8]) {
        if !self.events {
            return self.keep(bytes, JSON_BYTES_MAX);
        }
        while let Some(at) = bytes.iter().position(|byte| *byte == b'\n') {
            self.keep(&bytes[..at], LINE_BYTES_MAX);
            bytes = &bytes[at + 1..];
            self.line();
        }
        self.keep(bytes, LINE_BYTES_MAX);
    }

    /// What is known so far.
    pub(crate) fn tokens(&self) -> Tokens {
        self.tokens
    }

    /// The answer is over: reads what was waiting for its end.
    pub(crate) fn end(&mut self) -> Tokens {
        if self.events {
            self.line();
        } else if !self.skipping
            && let Ok(value) = serde_json::from_slice::<Value>(&self.pending)
        {
            self.usage(&value["usage"]);
        }
        self.tokens
    }

    fn keep(&mut self, bytes: &[u8], bytes_max: usize) {
        if self.skipping || self.pending.len() + bytes.len() > bytes_max {
            self.skipping = true;
            self.pending = Vec::new();
        } else {
            self.pending.extend_from_slice(bytes);
        }
    }

    fn line(&mut self) {
        let line = std::mem::take(&mut self.pending);
        if !std::mem::take(&mut self.skipping) {
            self.event(&line);
        }
        // Keeps the room that was made for the next line.
        self.pending = line;
        self.pending.clear();
    }

    fn event(&mut self, line: &[u8]) {
        let Some(data) = line.strip_prefix(b"data:") else { return };
        // Most lines are text of the answer; only the few with usage are worth parsing.
        if !data.windows(7).any(|window| window == b"\"usage\"") {
            return;
        }
        let Ok(value) = serde_json::from_slice::<Value>(data) else { return };
        self.usage(&value["usage"]);
        self.usage(&value["message"]["usage"]);
    }

    /// Later figures replace earlier ones: both dialects report totals of the call.
    fn usage(&mut self, usage: &Value) {
        let number = |name: &str| usage[name].as_u64();
        let (input, output) = match self.dialect {
            Dialect::OpenAiChat => (number("prompt_tokens"), number("completion_tokens")),
            Dialect::AnthropicMessages => {
                let cached =
                    ["cache_creation_input_tokens", "cache_read_input_tokens"].map(|name| number(name).unwrap_or(0));
                let input =
                    number("input_tokens").map(|fresh| cached.iter().fold(fresh, |sum, n| sum.saturating_add(*n)));
                (input, number("output_tokens"))
            }
        };
        self.tokens.input = input.unwrap_or(self.tokens.input);
        self.tokens.output = output.unwrap_or(self.tokens.output);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(dialect: Dialect, events: bool, bytes: &[u8], piece: usize) -> (u64, u64) {
        let mut scan = UsageScan::new(dialect, events);
        bytes.chunks(piece).for_each(|chunk| scan.feed(chunk));
        let tokens = scan.end();
        (tokens.input, tokens.output)
    }

    #[test]
    fn usage_is_found_however_the_answer_is_cut() {
        use Dialect::{AnthropicMessages as Anthropic, OpenAiChat as OpenAi};
        let long = format!("data: {{\"usage\":\"{}\"}}\n\n", "x".repeat(LINE_BYTES_MAX));
        let after_long = format!("{long}data: {{\"usage\":{{\"prompt_tokens\":1,\"completion_tokens\":2}}}}\n");
        let rows: [(Dialect, bool, &str, (u64, u64)); 10] = [
            (
                OpenAi,
                true,
                "data: {\"usage\":null}\n\ndata: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":5}}\n\ndata: [DONE]\n\n",
                (3, 5),
            ),
            (OpenAi, true, "data:{\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":5}}\r\n\r\n", (3, 5)),
            (OpenAi, true, "data: {\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":5}}", (3, 5)),
            (OpenAi, true, "data: {\"choices\":[]}\n\ndata: [DONE]\n\n", (0, 0)),
            (OpenAi, true, "data: {\"usage\":{\n: x\n\u{0}\ngarbage \"usage\"\n\n", (0, 0)),
            (OpenAi, true, &after_long, (1, 2)),
            (OpenAi, false, "{\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":5}}", (3, 5)),
            (OpenAi, false, "{\"usage\":", (0, 0)),
            (
                Anthropic,
                true,
                "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":3,\"cache_read_input_tokens\":4,\"output_tokens\":1}}}\n\nevent: message_delta\ndata: {\"usage\":{\"output_tokens\":9}}\n\n",
                (7, 9),
            ),
            (Anthropic, false, "{\"usage\":{\"input_tokens\":3,\"output_tokens\":9}}", (3, 9)),
        ];
        for (dialect, events, bytes, expect) in rows {
            for piece in [1, 7, 4096, usize::MAX] {
                let shown = &bytes[..bytes.len().min(120)];
                assert_eq!(scan(dialect, events, bytes.as_bytes(), piece), expect, "{piece}: {shown}");
            }
        }
    }
}
