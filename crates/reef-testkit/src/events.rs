//! Reads server-sent events, as the HTML standard says that a browser does.

use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::Value;
use tokio::time::timeout;

use crate::hub::PATIENCE;

/// One event.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    pub name: String,
    pub id: Option<String>,
    pub data: Value,
}

/// An open stream; dropped, it is closed.
#[derive(Debug)]
pub struct Events {
    body: Incoming,
    text: String,
}

impl Events {
    pub(crate) fn new(body: Incoming) -> Self {
        Self { body, text: String::new() }
    }

    /// The next event; none when the hub ends the stream.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let event = parse(event);
                self.text = rest.to_owned();
                return Some(event);
            }
            let frame = timeout(PATIENCE, self.body.frame()).await.expect("an event, or the end")?;
            // A connection that breaks is an end like any other: the hub was cut off.
            let data = frame.ok()?.into_data().ok()?;
            self.text += std::str::from_utf8(&data).expect("events are text");
        }
    }

    /// Reads on to the first event that is as wanted.
    pub async fn find(&mut self, wanted: impl Fn(&Event) -> bool) -> Event {
        let mut seen = Vec::new();
        while let Some(event) = self.next().await {
            if wanted(&event) {
                return event;
            }
            seen.push(event);
        }
        panic!("the stream ended before that: {seen:#?}")
    }

    /// Reads on to the end; returns what came until then.
    pub async fn rest(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        while let Some(event) = self.next().await {
            events.push(event);
        }
        events
    }
}

fn parse(text: &str) -> Event {
    let mut event = Event { name: "message".to_owned(), id: None, data: Value::Null };
    for line in text.lines() {
        match line.split_once(": ") {
            Some(("event", name)) => name.clone_into(&mut event.name),
            Some(("id", id)) => event.id = Some(id.to_owned()),
            Some(("data", data)) => event.data = serde_json::from_str(data).expect("data is JSON"),
            _ => panic!("not a line of an event: {line}"),
        }
    }
    event
}
