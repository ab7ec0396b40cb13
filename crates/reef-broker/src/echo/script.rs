//! What the echo model says to a conversation.

/// The tool that `tool:` asks for.
pub(super) const TOOL: &str = "exec";
/// Most words of a `long:` answer.
const LONG_WORDS_MAX: usize = 2_000;
/// Most of a text that is repeated, in characters.
const REPEATED_CHARS_MAX: usize = 2_000;
/// How a paragraph begins in which an agent tells its model what to do.
const PROMPT_MARK: &str = "\n\n[System] ";
/// From so many facts in one paragraph on, it is an agent's and not a person's.
const FACTS_MIN: usize = 2;
/// What agents put before context of their own that is not a person's text.
const INTERNAL_MARK: &str = "<<<";

/// One block of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Said {
    User(String),
    Tool(String),
    /// The model itself, or instructions.
    Other(String),
}

impl Said {
    pub(super) fn words(&self) -> u64 {
        let (Said::User(text) | Said::Tool(text) | Said::Other(text)) = self;
        text.split_whitespace().count() as u64
    }
}

/// What is answered.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reply {
    Text {
        words: Vec<String>,
        slow: bool,
    },
    /// A call of [`TOOL`] with this command.
    Tool {
        command: String,
    },
}

/// The HTTP status of an answer that is to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fail(pub(super) u16);

impl Reply {
    pub(super) fn tokens(&self) -> u64 {
        match self {
            Reply::Text { words, .. } => words.len() as u64,
            Reply::Tool { command } => command.split_whitespace().count() as u64,
        }
    }

    fn text(text: &str) -> Self {
        Reply::Text { words: text.split_inclusive(' ').map(str::to_owned).collect(), slow: false }
    }
}

/// Answers the last thing that a person said. `tool:<command>`, `long:<words>` and `fail:<status>` at the start of a line
/// ask for the behaviour that tests need.
pub(super) fn reply(said: &[Said], exec_offered: bool) -> Result<Reply, Fail> {
    let last = said.iter().rposition(|said| matches!(said, Said::User(text) if !is_internal(text)));
    let (text, after) = match last.map(|at| (&said[at], &said[at + 1..])) {
        Some((Said::User(text), after)) => (own_words(text), after),
        _ => ("", said),
    };
    let result = after.iter().rev().find_map(|said| match said {
        Said::Tool(result) => Some(result),
        _ => None,
    });
    if let Some(result) = result {
        return Ok(Reply::text(&format!("The command answered: {}", short(result))));
    }
    text.lines().find_map(|line| magic(line.trim(), exec_offered)).unwrap_or_else(|| {
        Ok(if text.is_empty() {
            Reply::text("I am the built-in echo model, and there is nothing to repeat.")
        } else {
            Reply::text(&format!("I am the built-in echo model and can only repeat: {}", short(text)))
        })
    })
}

fn magic(line: &str, exec_offered: bool) -> Option<Result<Reply, Fail>> {
    let (word, argument) = line.split_once(':')?;
    let argument = argument.trim();
    match word {
        "tool" if exec_offered => Some(Ok(Reply::Tool { command: argument.to_owned() })),
        "tool" => Some(Ok(Reply::text(&format!("The tool {TOOL} is not offered to me.")))),
        "long" => {
            let words = argument.parse::<usize>().ok()?.clamp(1, LONG_WORDS_MAX);
            let words = (1..=words).map(|n| format!("word{n} ")).collect();
            Some(Ok(Reply::Text { words, slow: true }))
        }
        "fail" => argument.parse().ok().filter(|status| (400..600).contains(status)).map(|status| Err(Fail(status))),
        _ => None,
    }
}

fn is_internal(text: &str) -> bool {
    let text = own_words(text);
    text.is_empty() || text.starts_with(INTERNAL_MARK)
}

/// What a person wrote, without what an agent put around it for the model.
fn own_words(text: &str) -> &str {
    let mut text = without_prompt(without_time(text));
    while let Some(rest) = without_facts(text) {
        text = rest;
    }
    text
}

/// Takes off what an agent says to its model when it takes up a turn: a line in brackets before, a paragraph after.
fn without_prompt(text: &str) -> &str {
    let Some((text, _)) = text.split_once(PROMPT_MARK) else { return text };
    text.strip_prefix('[').and_then(|text| text.split_once("]\n")).map_or(text, |(_, rest)| without_time(rest))
}

/// Takes off a last paragraph of facts: `Runtime: agent=main | host=scout`. None when there is none.
fn without_facts(text: &str) -> Option<&str> {
    let (rest, last) = match text.rsplit_once("\n\n") {
        Some((rest, last)) => (rest, last),
        None => ("", text),
    };
    let (label, facts) = last.split_once(": ")?;
    let is_word = |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let is_fact = |fact: &str| fact.split_once('=').is_some_and(|(name, _)| is_word(name));
    let facts: Vec<&str> = facts.split(" | ").collect();
    (is_word(label) && facts.len() >= FACTS_MIN && facts.into_iter().all(is_fact)).then(|| rest.trim_end())
}

/// Takes off a time that an agent puts before what was said: `[Sun 2026-11-22 08:09 UTC] hello`.
fn without_time(text: &str) -> &str {
    let text = text.trim();
    let Some((stamp, rest)) = text.strip_prefix('[').and_then(|text| text.split_once(']')) else { return text };
    let time = stamp.contains(':') && stamp.bytes().filter(u8::is_ascii_digit).count() >= 8;
    if time && !stamp.contains('\n') { rest.trim_start() } else { text }
}

fn short(text: &str) -> &str {
    text.char_indices().nth(REPEATED_CHARS_MAX).map_or(text, |(at, _)| &text[..at]).trim()
}
