//! One turn: opens the conversation's stream, sends the message, prints the answer until the run is over. A cut of the
//! stream, as by a restart of the hub, is bridged: the message is sent under one key, the stream is opened again.

use std::{
    io::{self, IsTerminal},
    time::Duration,
};

use http::Method;
use reef_types::chat::{ChatItem, ChatRun};
use serde::Deserialize;
use serde_json::json;
use tokio::time::Instant;
use uuid::Uuid;

use super::{
    super::{
        client::{Call, Client, encode},
        failure::Failure,
        job::{AWAY_MAX, Retry},
        output,
        selector::Selector,
        sse::{Event, EventStream},
    },
    transcript::{Mode, Transcript},
};

/// How long to wait for the rest of a conversation whose run is over or unknown.
const REST_MAX: Duration = Duration::from_secs(5);
/// How long an aborted run may take to end.
const ABORT_MAX: Duration = Duration::from_secs(10);

/// Where messages go, and how answers are printed.
pub(crate) struct Turn<'a> {
    pub(crate) client: &'a Client,
    pub(crate) instance: &'a Selector,
    pub(crate) session: &'a str,
    pub(crate) mode: Mode,
}

#[derive(Deserialize)]
struct Snapshot {
    items: Vec<ChatItem>,
    run: Option<ChatRun>,
}

#[derive(Deserialize)]
struct Patch {
    item: Option<ChatItem>,
    run: Option<ChatRun>,
}

#[derive(Deserialize)]
struct Unavailable {
    message: String,
}

/// How far the turn is.
struct State {
    text: String,
    key: String,
    transcript: Option<Transcript>,
    /// Set when the hub has the message.
    run: Option<String>,
    /// A run of somebody else that is going on.
    other_run: Option<String>,
    /// The run is over or unknown; when to stop waiting for the rest.
    rest_until: Option<Instant>,
    outcome: Option<ChatRun>,
}

impl Turn<'_> {
    /// Sends one message and prints what it brings about.
    ///
    /// # Errors
    /// `Failed` when the run did not end well; Ctrl-C aborts the run and is one of these.
    pub(crate) async fn run(&self, text: &str) -> Result<(), Failure> {
        let mut state = State {
            text: text.to_owned(),
            key: Uuid::now_v7().to_string(),
            transcript: None,
            run: None,
            other_run: None,
            rest_until: None,
            outcome: None,
        };
        let outcome = tokio::select! {
            outcome = self.drive(&mut state) => outcome,
            _ = tokio::signal::ctrl_c() => self.abort(&mut state).await,
        };
        if let Some(transcript) = &mut state.transcript {
            output::print_foreign(&transcript.finish())?;
        }
        outcome
    }

    async fn abort(&self, state: &mut State) -> Result<(), Failure> {
        if state.run.is_some() {
            self.client.send(Call::new(Method::POST, self.path("/abort"))).await?;
            // What was said until then is still printed; how that ends does not matter any more.
            let _late = tokio::time::timeout(ABORT_MAX, self.drive(state)).await;
        }
        Err(Failure::Failed("aborted".to_owned()))
    }

    /// Follows the stream, again and again, until the turn is over.
    async fn drive(&self, state: &mut State) -> Result<(), Failure> {
        let mut retry = Retry::new();
        loop {
            match self.follow(state, &mut retry).await {
                Ok(Some(outcome)) => return outcome,
                Ok(None) => {}
                Err(failure) if failure.is_transient() => {}
                Err(failure) => return Err(failure),
            }
            retry.pause().await?;
        }
    }

    /// Follows one stream. None when it was cut before the turn was over.
    async fn follow(&self, state: &mut State, retry: &mut Retry) -> Result<Option<Result<(), Failure>>, Failure> {
        let mut events = self.client.events(&self.path("/stream"), None).await?;
        // Set while the agent cannot be reached: until when to wait for it, and what the hub says.
        let mut away: Option<(Instant, String)> = None;
        loop {
            let until = away.as_ref().map(|(until, _)| *until).or(state.rest_until);
            let event = match (next(&mut events, until).await, away.take()) {
                (Some(event), waiting) => {
                    away = waiting;
                    event?
                }
                (None, Some((_, message))) => return Ok(Some(Err(Failure::Unavailable(message)))),
                (None, None) => return Ok(Some(state.end())),
            };
            let Some(event) = event else { return Ok(None) };
            match event.name.as_str() {
                "snapshot" => {
                    *retry = Retry::new();
                    away = None;
                    self.snapshot(state, event.parse()?).await?;
                }
                "patch" => state.patch(event.parse()?)?,
                "unavailable" => {
                    let message = event.parse::<Unavailable>()?.message;
                    note(&message);
                    away = Some((Instant::now() + AWAY_MAX, message));
                }
                _ => {}
            }
            if state.is_over() {
                return Ok(Some(state.end()));
            }
        }
    }

    async fn snapshot(&self, state: &mut State, snapshot: Snapshot) -> Result<(), Failure> {
        let transcript =
            state.transcript.get_or_insert_with(|| Transcript::new(self.mode, &state.text, &snapshot.items));
        if state.run.is_none() {
            state.other_run = snapshot.run.filter(|run| !run.is_settled()).map(|run| run.id);
            state.run = Some(self.post(state).await?);
            return Ok(());
        }
        output::print_foreign(&transcript.snapshot(&snapshot.items))?;
        match snapshot.run {
            Some(run) => state.run(run),
            None => state.rest(),
        }
        Ok(())
    }

    /// Sends the message; the key makes sure that it is taken once, however often it is sent.
    async fn post(&self, state: &State) -> Result<String, Failure> {
        let call = Call::new(Method::POST, self.path("/messages"))
            .body(json!({ "text": state.text }))
            .header("idempotency-key", state.key.clone());
        self.client.send(call).await?.member("runId")
    }

    fn path(&self, rest: &str) -> String {
        self.instance.path(&format!("/chat/{}{rest}", encode(self.session)))
    }
}

impl State {
    fn patch(&mut self, patch: Patch) -> Result<(), Failure> {
        let (Some(transcript), Some(_)) = (&mut self.transcript, &self.run) else { return Ok(()) };
        if let Some(item) = &patch.item {
            if self.other_run.is_some() {
                transcript.disown(item);
            }
            output::print_foreign(&transcript.item(item))?;
        }
        match patch.run {
            Some(run) => self.run(run),
            None if self.rest_until.is_some() => self.rest(),
            None => {}
        }
        Ok(())
    }

    fn run(&mut self, run: ChatRun) {
        if self.run.as_deref() != Some(run.id.as_str()) {
            self.other_run = (!run.is_settled()).then_some(run.id);
            return;
        }
        self.other_run = None;
        if run.is_settled() {
            self.outcome = Some(run);
            self.rest();
        } else {
            self.rest_until = None;
            self.outcome = None;
        }
    }

    fn rest(&mut self) {
        // Without an answer there is nothing better to do than to wait: an agent that was cut off from its model tries
        // again after a while.
        let enough = self.outcome.is_some() || self.is_answered();
        self.rest_until = Some(Instant::now() + if enough { REST_MAX } else { AWAY_MAX });
    }

    fn is_over(&self) -> bool {
        match &self.outcome {
            // An answer whose end is still on its way is worth a moment.
            Some(run) if run.phase == "done" => self.is_answered(),
            Some(_) => true,
            None => false,
        }
    }

    fn is_answered(&self) -> bool {
        self.transcript.as_ref().is_some_and(Transcript::is_answered)
    }

    fn end(&self) -> Result<(), Failure> {
        match &self.outcome {
            Some(run) if run.phase == "done" => Ok(()),
            Some(run) => {
                let message = run.message.clone().unwrap_or_else(|| format!("the run was {}", run.phase));
                Err(Failure::Failed(message))
            }
            None if self.is_answered() => Ok(()),
            None => Err(Failure::Failed("the hub knows of no answer to this message".to_owned())),
        }
    }
}

/// The next event; none when the time for the rest has passed.
async fn next(events: &mut EventStream, until: Option<Instant>) -> Option<Result<Option<Event>, Failure>> {
    match until {
        Some(until) => tokio::time::timeout_at(until, events.next()).await.ok(),
        None => Some(events.next().await),
    }
}

fn note(message: &str) {
    if io::stderr().is_terminal() {
        eprintln!("waiting: {}", output::printable(message));
    }
}
