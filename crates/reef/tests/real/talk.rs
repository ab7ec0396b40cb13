//! Conversations, by the command line and by the API.

use std::process::Stdio;

use http::Method;
use reef_testkit::Client;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;

use crate::reef::{Ended, Reef};

/// What the built-in model puts before what a person said.
const ECHO: &str = "I am the built-in echo model and can only repeat: ";
/// What it puts before the output of a command that it was asked to run.
const TOOL: &str = "The command answered: ";

/// Two instances, and each by the command line and by the API, in different conversations.
pub(crate) async fn both_at_once(reef: &Reef) {
    let say = |name: &str, way: &str| format!("I am talking to {name} by the {way}");
    let command = async |name: &str| {
        let text = say(name, "command line");
        assert_eq!(first_line(&reef.run(&["chat", name, &text]).await.stdout), format!("{ECHO}{text}"));
    };
    let api = async |name: &str| {
        let text = say(name, "API");
        assert_eq!(first_line(&ask(&reef.api, name, "other", &text).await), format!("{ECHO}{text}"));
    };
    tokio::join!(command("alice"), command("bob"), api("alice"), api("bob"));

    for name in ["alice", "bob"] {
        let other = if name == "alice" { "bob" } else { "alice" };
        for (session, way) in [("main", "command line"), ("other", "API")] {
            let items = conversation(&reef.api, name, session).await;
            let text = say(name, way);
            let said: Vec<(String, String)> =
                texts(&items).into_iter().map(|(role, text)| (role, first_line(&text).to_owned())).collect();
            let answer = format!("{ECHO}{text}");
            assert_eq!(said, [("user".to_owned(), text), ("assistant".to_owned(), answer)]);
            assert!(!items.to_string().contains(other), "{items}");
        }
    }
}

/// Sends a message by the API, follows the stream until the turn is over, and returns the answer.
async fn ask(api: &Client, name: &str, session: &str, text: &str) -> String {
    let path = format!("/api/instances/{name}/chat/{session}");
    let mut events = api.events(&format!("{path}/stream")).await;
    events.find(|event| event.name == "snapshot").await;
    let sent = api.send(Method::POST, &format!("{path}/messages"), Some(json!({ "text": text }))).await;
    assert_eq!(sent.status, 202, "{sent:?}");
    let run = sent.json()["runId"].clone();
    events.find(|event| event.data["run"]["id"] == run && event.data["run"]["phase"] == "done").await;
    let items = conversation(api, name, session).await;
    texts(&items).pop().filter(|(role, _)| role == "assistant").expect("an answer").1
}

/// A conversation as it is now.
pub(crate) async fn conversation(api: &Client, name: &str, session: &str) -> Value {
    let mut events = api.events(&format!("/api/instances/{name}/chat/{session}/stream")).await;
    events.find(|event| event.name == "snapshot").await.data["items"].clone()
}

/// Who said what.
pub(crate) fn texts(items: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    items.as_array().expect("items").iter().map(|item| (text(&item["role"]), text(&item["text"]))).collect()
}

/// What the person wrote; the agent may tell its model more, in paragraphs of its own.
fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

/// Runs a shell command inside, by way of the agent, and returns what it printed.
pub(crate) async fn inside(reef: &Reef, name: &str, command: &str) -> String {
    assert!(!command.contains('\n'), "a message to the model has one line");
    // Each in a conversation of its own: what was answered before is not what is asked for.
    let session = format!("tool-{}", uuid::Uuid::now_v7().simple());
    let said = reef.run(&["chat", name, "--session", &session, &format!("tool:{command}")]).await.stdout;
    let output = said.strip_prefix(TOOL).unwrap_or_else(|| panic!("{command}: {said}"));
    output.trim_end().to_owned()
}

/// A long answer that is being printed.
pub(crate) struct Answering {
    child: tokio::process::Child,
    printed: String,
    words: usize,
}

impl Answering {
    /// Asks for so many words, and waits for the first ones.
    pub(crate) async fn begin(reef: &Reef, name: &str, session: &str, words: usize) -> Self {
        let question = format!("long:{words}");
        let mut child = reef.spawn(&["chat", name, "--session", session, &question], Stdio::null());
        let mut printed = String::new();
        let stdout = child.stdout.as_mut().unwrap();
        while !printed.contains("word9 ") {
            let mut bytes = [0; 256];
            let read = tokio::time::timeout(crate::reef::PATIENCE, stdout.read(&mut bytes)).await;
            let read = read.unwrap_or_else(|_| panic!("words in time: {printed:?} {}", reef.log())).unwrap();
            assert_ne!(read, 0, "it ended after {printed:?}");
            printed += std::str::from_utf8(&bytes[..read]).unwrap();
        }
        assert!(!printed.contains(&format!("word{words}")), "too late to be in mid-answer: {printed}");
        Self { child, printed, words }
    }

    /// Waits for the end, however it comes.
    pub(crate) async fn end(self, reef: &Reef) -> Ended {
        let ended = reef.ended(self.child).await;
        Ended { stdout: self.printed + &ended.stdout, ..ended }
    }

    /// Waits for the end, which must be the end of the answer: each word once, in order.
    pub(crate) async fn complete(self, reef: &Reef) {
        let all: Vec<String> = (1..=self.words).map(|n| format!("word{n}")).collect();
        let ended = self.end(reef).await;
        assert_eq!(ended.code, 0, "{ended:?} {}", reef.log());
        assert_eq!(ended.stdout.split_whitespace().collect::<Vec<_>>(), all, "{}", ended.stderr);
    }
}
