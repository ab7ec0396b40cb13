//! Server-sent events from a stream of bytes (HTML Living Standard, section 9.2.6). Knows nothing of what they mean.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, stream::BoxStream};
use serde::de::DeserializeOwned;

use super::failure::Failure;

/// The largest single event, in bytes: a snapshot of a long conversation.
const EVENT_BYTES_MAX: usize = 32 << 20;
/// A stream that is silent for longer is dead: the hub pings every 15 s.
const SILENCE_MAX: Duration = Duration::from_secs(45);

/// One event.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Event {
    /// Its kind; `message` when the sender names none.
    pub(crate) name: String,
    pub(crate) data: String,
    /// The last id that the sender gave, to resume from.
    pub(crate) id: Option<String>,
}

impl Event {
    /// Reads the data as JSON.
    pub(crate) fn parse<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        serde_json::from_str(&self.data)
            .map_err(|source| Failure::Failed(format!("the hub sent an unreadable `{}` event: {source}", self.name)))
    }
}

/// Events as they arrive.
pub(crate) struct EventStream {
    body: BoxStream<'static, Result<Bytes, Failure>>,
    parser: Parser,
}

impl EventStream {
    /// Reads events from the body of an answer.
    pub(crate) fn new(body: BoxStream<'static, Result<Bytes, Failure>>) -> Self {
        Self { body, parser: Parser::default() }
    }

    /// The next event; none when the sender closed the stream in order.
    ///
    /// # Errors
    /// `Unavailable` when the stream was cut or fell silent; worth opening again.
    pub(crate) async fn next(&mut self) -> Result<Option<Event>, Failure> {
        loop {
            if let Some(event) = self.parser.next()? {
                return Ok(Some(event));
            }
            match tokio::time::timeout(SILENCE_MAX, self.body.next()).await {
                Ok(Some(Ok(bytes))) => self.parser.buffer.extend_from_slice(&bytes),
                Ok(Some(Err(failure))) => return Err(failure),
                Ok(None) => return Ok(None),
                Err(_) => return Err(Failure::Unavailable("the hub fell silent".to_owned())),
            }
        }
    }
}

#[derive(Default)]
struct Parser {
    buffer: BytesMut,
    name: String,
    data: Option<String>,
    id: Option<String>,
}

impl Parser {
    fn next(&mut self) -> Result<Option<Event>, Failure> {
        while let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
            let line = self.buffer.split_to(end + 1);
            let line = String::from_utf8_lossy(&line[..end]);
            let line = line.strip_suffix('\r').unwrap_or(&line);
            if line.is_empty() {
                if let Some(event) = self.dispatch() {
                    return Ok(Some(event));
                }
                continue;
            }
            self.field(line);
        }
        if self.buffer.len() + self.data.as_ref().map_or(0, String::len) > EVENT_BYTES_MAX {
            return Err(Failure::Failed(format!("the hub sent an event of more than {EVENT_BYTES_MAX} bytes")));
        }
        Ok(None)
    }

    fn field(&mut self, line: &str) {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "event" => value.clone_into(&mut self.name),
            "data" => match &mut self.data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                None => self.data = Some(value.to_owned()),
            },
            "id" if !value.contains('\0') => self.id = Some(value.to_owned()),
            _ => {}
        }
    }

    fn dispatch(&mut self) -> Option<Event> {
        let name = std::mem::take(&mut self.name);
        let data = self.data.take()?;
        let name = if name.is_empty() { "message".to_owned() } else { name };
        Some(Event { name, data, id: self.id.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: &[(&str, &str, Option<&str>)]) {
        // However the network cuts the bytes, the events are the same.
        for size in [1, 2, 7, text.len().max(1)] {
            let mut parser = Parser::default();
            let mut events = Vec::new();
            for chunk in text.as_bytes().chunks(size) {
                parser.buffer.extend_from_slice(chunk);
                while let Some(event) = parser.next().unwrap() {
                    events.push(event);
                }
            }
            let seen: Vec<_> =
                events.iter().map(|event| (event.name.as_str(), event.data.as_str(), event.id.as_deref())).collect();
            assert_eq!(seen, expect, "{text:?} in pieces of {size}");
        }
    }

    #[test]
    fn events() {
        check("event: patch\ndata: {\"a\":1}\n\n", &[("patch", "{\"a\":1}", None)]);
        check("data: one\ndata: two\n\n", &[("message", "one\ntwo", None)]);
        check("id: 7\ndata: ä\r\n\r\ndata: b\n\n", &[("message", "ä", Some("7")), ("message", "b", Some("7"))]);
        check(": comment\n\nevent: ping\n\n", &[]);
        check("data:no-space\n\ndata: unfinished", &[("message", "no-space", None)]);
    }
}
