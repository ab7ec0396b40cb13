//! What of a conversation is still to be printed. Pure: items go in, text comes out, and nothing comes out twice, however
//! often a cut stream tells the same story again.

use std::collections::HashSet;

use reef_types::chat::{ChatItem, ChatRole};

/// What stands between a text that was given up and the one that took its place.
const BEGUN_ANEW: &str = "\n[The agent began this answer anew.]\n\n";

/// What is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// The assistant's text as it grows.
    Text,
    /// Each item of the turn once, when it is finished, as one line of JSON.
    Ndjson,
}

/// The items of one turn, and how much of each was printed.
#[derive(Debug)]
pub(crate) struct Transcript {
    mode: Mode,
    question: String,
    /// Items that were there before the turn.
    earlier: HashSet<String>,
    shown: Vec<Shown>,
    /// Whether the last character that was printed ends a line.
    at_line_start: bool,
}

#[derive(Debug)]
struct Shown {
    item: ChatItem,
    /// The text that was printed; in `Ndjson`, whether the item was, as all or nothing.
    text: String,
    complete: bool,
}

impl Transcript {
    /// A turn that begins on this conversation.
    pub(crate) fn new(mode: Mode, question: &str, before: &[ChatItem]) -> Self {
        let earlier = before.iter().map(|item| item.id.clone()).collect();
        Self { mode, question: question.to_owned(), earlier, shown: Vec::new(), at_line_start: true }
    }

    /// Whether the assistant said something in this turn, and is not in the middle of it.
    pub(crate) fn is_answered(&self) -> bool {
        let mut answers = self.shown.iter().filter(|shown| shown.item.role == ChatRole::Assistant).peekable();
        answers.peek().is_some() && answers.all(|shown| !shown.item.streaming)
    }

    /// Takes the whole conversation as it is now; returns what is to be printed.
    pub(crate) fn snapshot(&mut self, items: &[ChatItem]) -> String {
        // The agent may have given its items other ids since: what follows the question belongs to this turn.
        let asked =
            items.iter().rposition(|item| item.role == ChatRole::User && item.text.trim() == self.question.trim());
        let turn = &items[asked.unwrap_or(0)..];
        let present: HashSet<&str> = turn.iter().map(|item| item.id.as_str()).collect();
        let mut text = String::new();
        for item in turn {
            self.rename(item, &present);
            text += &self.item(item);
        }
        text
    }

    /// Takes one item that is new or has changed; returns what is to be printed.
    pub(crate) fn item(&mut self, item: &ChatItem) -> String {
        if self.earlier.contains(&item.id) {
            return String::new();
        }
        let index = match self.shown.iter().position(|shown| is_same(&shown.item, item)) {
            Some(index) => index,
            None => {
                self.shown.push(Shown { item: item.clone(), text: String::new(), complete: false });
                self.shown.len() - 1
            }
        };
        self.shown[index].item = item.clone();
        match self.mode {
            Mode::Text if item.role == ChatRole::Assistant => self.grow(index),
            Mode::Ndjson if !item.streaming => self.finish_item(index),
            Mode::Text | Mode::Ndjson => String::new(),
        }
    }

    /// Ignores an item that belongs to somebody else's turn.
    pub(crate) fn disown(&mut self, item: &ChatItem) {
        if self.shown.iter().all(|shown| shown.item.id != item.id) {
            self.earlier.insert(item.id.clone());
        }
    }

    /// What is to be printed at the end of the turn.
    pub(crate) fn finish(&mut self) -> String {
        match self.mode {
            Mode::Text if self.at_line_start => String::new(),
            Mode::Text => {
                self.at_line_start = true;
                "\n".to_owned()
            }
            Mode::Ndjson => (0..self.shown.len()).map(|index| self.finish_item(index)).collect(),
        }
    }

    /// An item that vanished while another with the same beginning appeared is the same item under a new id.
    fn rename(&mut self, item: &ChatItem, present: &HashSet<&str>) {
        if self.earlier.contains(&item.id) || self.shown.iter().any(|shown| shown.item.id == item.id) {
            return;
        }
        let same = |shown: &&mut Shown| {
            let begun = shown.item.text.trim();
            shown.item.role == item.role
                && !present.contains(shown.item.id.as_str())
                && !begun.is_empty()
                && item.text.trim_start().starts_with(begun)
        };
        if let Some(shown) = self.shown.iter_mut().find(same) {
            shown.item.id.clone_from(&item.id);
        }
    }

    fn grow(&mut self, index: usize) -> String {
        let Shown { item, text, .. } = &self.shown[index];
        let mut new = match item.text.strip_prefix(text.as_str()) {
            Some(rest) => rest.to_owned(),
            // Only its end was trimmed.
            None if text.trim_end() == item.text.trim_end() => return String::new(),
            // It was begun anew, and may come to what stands already.
            None if item.streaming => return String::new(),
            // What stands cannot be taken back, so the final wording follows it once.
            None => format!("{}{BEGUN_ANEW}{}", if self.at_line_start { "" } else { "\n" }, item.text),
        };
        if new.is_empty() {
            return new;
        }
        if text.is_empty() && !self.at_line_start {
            new.insert(0, '\n');
        }
        self.at_line_start = new.ends_with('\n');
        let shown = &mut self.shown[index];
        shown.text.clone_from(&shown.item.text);
        new
    }

    fn finish_item(&mut self, index: usize) -> String {
        let shown = &mut self.shown[index];
        if shown.complete {
            return String::new();
        }
        shown.complete = true;
        serde_json::to_string(&shown.item).expect("an item is plain data") + "\n"
    }
}

/// The person's message has an id of the hub's until the agent's history holds it; it is said once in a turn.
fn is_same(shown: &ChatItem, item: &ChatItem) -> bool {
    let asked = item.role == ChatRole::User && shown.role == ChatRole::User && shown.text.trim() == item.text.trim();
    shown.id == item.id || asked
}

#[cfg(test)]
mod tests;
