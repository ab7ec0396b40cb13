//! `reef chat`: one message, or a conversation on the terminal.

mod transcript;
mod turn;

use std::io::{self, BufRead, IsTerminal, Read, Write};

use clap::Args;
use serde_json::Value;
use tokio::sync::mpsc;

use self::{transcript::Mode, turn::Turn};
use super::{client::Client, failure::Failure, output, selector::Selector};

/// The longest message, in bytes, that is read from a pipe.
const MESSAGE_BYTES_MAX: u64 = 1 << 20;

/// Whom to tell what.
#[derive(Debug, Args)]
pub(crate) struct ChatArgs {
    /// Name or id
    name: Selector,
    /// The message; without it, a pipe is read to its end, and a terminal becomes a conversation
    text: Option<String>,
    /// Which conversation of the agent
    #[arg(long, default_value = "main", value_name = "KEY")]
    session: String,
    /// Print finished items as one line of JSON each, instead of the text as it grows
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(client: &Client, args: ChatArgs) -> Result<(), Failure> {
    refuse_if_down(client, &args.name).await?;
    let turn = Turn {
        client,
        instance: &args.name,
        session: &args.session,
        mode: if args.json { Mode::Ndjson } else { Mode::Text },
    };
    match args.text {
        Some(text) => turn.run(&text).await,
        None if io::stdin().is_terminal() => converse(&turn).await,
        None => turn.run(&read_message()?).await,
    }
}

/// Nobody answers for an instance that is down, and nothing will change that but its owner.
async fn refuse_if_down(client: &Client, name: &Selector) -> Result<(), Failure> {
    let instance = client.get(&name.path("")).await?;
    match instance.get("phase").and_then(Value::as_str).unwrap_or_default() {
        phase @ ("stopped" | "stopping" | "failed" | "deleting") => Err(Failure::Unavailable(format!(
            "{name} is {phase}: `reef start {name}` starts it, `reef show {name}` tells more"
        ))),
        _ => Ok(()),
    }
}

fn read_message() -> Result<String, Failure> {
    let mut text = String::new();
    io::stdin().take(MESSAGE_BYTES_MAX).read_to_string(&mut text)?;
    let text = text.trim_end();
    if text.is_empty() { Err(Failure::Usage("there is no message".to_owned())) } else { Ok(text.to_owned()) }
}

/// Takes turns until the person leaves, by end of input or by Ctrl-C at the prompt.
async fn converse(turn: &Turn<'_>) -> Result<(), Failure> {
    let mut lines = input();
    loop {
        output::print("> ")?;
        let line = tokio::select! {
            line = lines.recv() => line,
            _ = tokio::signal::ctrl_c() => None,
        };
        let Some(line) = line else {
            return output::print("\n");
        };
        if line.trim().is_empty() {
            continue;
        }
        match turn.run(line.trim_end()).await {
            Ok(()) => {}
            // The conversation outlives a turn that failed, but not a hub that is gone.
            Err(failure @ Failure::Failed(_)) => failure.report(),
            Err(failure) => return Err(failure),
        }
        io::stdout().flush()?;
    }
}

/// Lines of the terminal. A thread of its own: a blocked read must not keep the program from ending.
fn input() -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel(1);
    std::thread::spawn(move || {
        for line in io::stdin().lock().lines() {
            let Ok(line) = line else { return };
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    receiver
}
