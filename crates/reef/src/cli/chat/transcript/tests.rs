use super::*;

fn item(id: &str, role: ChatRole, text: &str, streaming: bool) -> ChatItem {
    ChatItem { id: id.to_owned(), role, text: text.to_owned(), streaming, tool: None, at: None }
}

fn says(id: &str, text: &str) -> ChatItem {
    item(id, ChatRole::Assistant, text, true)
}

fn said(id: &str, text: &str) -> ChatItem {
    item(id, ChatRole::Assistant, text, false)
}

fn asked(id: &str, text: &str) -> ChatItem {
    item(id, ChatRole::User, text, false)
}

enum Step {
    Patch(ChatItem),
    Snapshot(Vec<ChatItem>),
}
use Step::{Patch, Snapshot};

fn check(before: &[ChatItem], steps: Vec<Step>, expect: &str) {
    let mut transcript = Transcript::new(Mode::Text, "hi", before);
    let mut text = String::new();
    for step in steps {
        text += &match step {
            Patch(item) => transcript.item(&item),
            Snapshot(items) => transcript.snapshot(&items),
        };
    }
    text += &transcript.finish();
    assert_eq!(text, expect);
}

#[test]
fn an_answer_is_printed_as_it_grows() {
    check(&[], vec![Patch(says("a", "Hel")), Patch(says("a", "Hello")), Patch(said("a", "Hello"))], "Hello\n");
    check(&[], vec![Patch(says("a", "one")), Patch(said("a", "one")), Patch(said("b", "two\n"))], "one\ntwo\n");
    check(&[], vec![Patch(asked("u", "hi")), Patch(item("t", ChatRole::Tool, "ran", false))], "");
}

#[test]
fn what_was_there_before_is_not_printed() {
    let before = [asked("u0", "hi"), said("a0", "earlier")];
    check(&before, vec![Patch(said("a0", "earlier")), Patch(said("a1", "now"))], "now\n");
}

#[test]
fn a_cut_prints_nothing_twice() {
    let whole = || vec![asked("u", "hi"), said("a", "Hello world")];
    check(&[], vec![Patch(says("a", "Hello")), Snapshot(whole())], "Hello world\n");
    check(&[], vec![Patch(said("a", "Hello world")), Snapshot(whole()), Snapshot(whole())], "Hello world\n");
}

#[test]
fn other_ids_after_a_cut_are_the_same_items() {
    let before = [asked("live-0", "earlier"), said("live-1", "old answer")];
    let after = vec![asked("h0", "earlier"), said("h1", "old answer"), asked("h2", "hi"), said("h3", "Hello world")];
    check(&before, vec![Patch(says("live-2", "Hello")), Snapshot(after)], "Hello world\n");
    let two = vec![asked("h2", "hi"), said("h3", "same"), said("h4", "same")];
    check(&[], vec![Patch(said("a", "same")), Patch(says("b", "sa")), Snapshot(two)], "same\nsame\n");
}

#[test]
fn trimmed_and_rewritten_texts() {
    check(&[], vec![Patch(says("a", "Hello \n")), Patch(said("a", "Hello"))], "Hello \n");
    let rewritten = vec![Patch(says("a", "Helo")), Patch(says("a", "Hel")), Patch(said("a", "Good day"))];
    check(&[], rewritten, "Helo\n\n[The agent began this answer anew.]\n\nGood day\n");
    let given_up = vec![Patch(says("a", "Hello wor\n")), Patch(says("a", "Hel")), Patch(said("a", "Hello"))];
    check(&[], given_up, "Hello wor\n\n[The agent began this answer anew.]\n\nHello\n");
    let the_same = vec![Patch(says("a", "Hello wor")), Patch(says("a", "Hel")), Patch(said("a", "Hello world"))];
    check(&[], the_same, "Hello world\n");
}

#[test]
fn json_prints_each_finished_item_once() {
    let mut transcript = Transcript::new(Mode::Ndjson, "hi", &[]);
    assert_eq!(transcript.item(&says("a", "He")), "");
    let printed = transcript.item(&said("a", "Hello"));
    assert_eq!(serde_json::from_str::<ChatItem>(&printed).unwrap(), said("a", "Hello"));
    assert!(printed.ends_with('\n'));
    assert_eq!(transcript.snapshot(&[asked("u", "hi"), said("a2", "Hello")]).lines().count(), 1, "only the question");
    assert_eq!(transcript.item(&says("b", "unfini")), "");
    assert_eq!(transcript.finish().lines().count(), 1);
    assert_eq!(transcript.finish(), "");

    let mut transcript = Transcript::new(Mode::Ndjson, "hi", &[]);
    let printed = transcript.item(&asked("pending", "hi")) + &transcript.item(&asked("history", "hi"));
    assert_eq!(printed.lines().count(), 1, "the hub's id of the question gives way to the agent's");
}

#[test]
fn answered_when_nothing_is_streaming_any_more() {
    let mut transcript = Transcript::new(Mode::Text, "hi", &[]);
    assert!(!transcript.is_answered());
    transcript.item(&says("a", "He"));
    assert!(!transcript.is_answered());
    transcript.item(&said("a", "Hello"));
    assert!(transcript.is_answered());
}
