use super::*;

fn item(id: &str, role: ChatRole, text: &str, streaming: bool) -> ChatItem {
    ChatItem { id: id.into(), role, text: text.into(), streaming, tool: None, at: None }
}

fn run(phase: &str) -> ChatRun {
    ChatRun { id: "r1".into(), phase: phase.into(), message: None }
}

/// Long after every message of these tests.
fn late() -> jiff::Timestamp {
    jiff::Timestamp::from_second(100_000).unwrap()
}

fn ids(items: &[ChatItem]) -> Vec<&str> {
    items.iter().map(|i| i.id.as_str()).collect()
}

#[test]
fn history_wins_and_nothing_is_doubled() {
    let history = vec![item("m1", ChatRole::User, "hi", false), item("m2", ChatRole::Assistant, "hello", false)];
    let live = vec![
        item("pending:k1", ChatRole::User, "hi", false),
        item("run:r1", ChatRole::Assistant, "hel", true),
        item("m2", ChatRole::Assistant, "he", false),
    ];
    assert_eq!(ids(&merge(history.clone(), &live, Some(&run("done")), late())), ["m1", "m2"]);
    // While the turn goes on, what is still growing stays, and a sent message that history has not got yet too.
    assert_eq!(ids(&merge(history, &live, Some(&run("answering")), late())), ["m1", "m2", "run:r1"]);
    assert_eq!(ids(&merge(vec![], &live, Some(&run("answering")), late())), ["pending:k1", "run:r1"]);
}

#[test]
fn an_old_message_of_the_same_text_does_not_swallow_a_new_one() {
    let at = |s: i64| Some(jiff::Timestamp::from_second(s).unwrap());
    let mut old = item("m1", ChatRole::User, "again", false);
    old.at = at(1000);
    let mut sent = item("pending:k2", ChatRole::User, "again", false);
    sent.at = at(2000);
    assert_eq!(ids(&merge(vec![old.clone()], &[sent.clone()], Some(&run("queued")), late())), ["m1", "pending:k2"]);
    let mut arrived = old.clone();
    arrived.id = "m2".into();
    arrived.at = at(1999);
    assert_eq!(ids(&merge(vec![old, arrived], &[sent], Some(&run("queued")), late())), ["m1", "m2"]);
}

#[test]
fn a_message_that_is_sent_again_is_not_shown_again() {
    let chats = Conversations::new("e".into());
    let shown = |chats: &Conversations| chats.sessions.lock()["main"].items.len();
    chats.sent("main", "k1", "hi", late());
    chats.sent("main", "k1", "hi", late());
    assert_eq!(shown(&chats), 1);
    // History holds it since long ago, as far as the clock can tell.
    chats.sessions.lock().get_mut("main").unwrap().items = vec![item("k1:user", ChatRole::User, "hi", false)];
    chats.sent("main", "k1", "hi", late());
    assert_eq!(shown(&chats), 1);
    chats.sent("main", "k", "hi", late());
    assert_eq!(shown(&chats), 2, "another key is another message");

    let mut again = item("pending:k1", ChatRole::User, "hi", false);
    again.at = Some(late());
    let mut kept = item("k1:user", ChatRole::User, "hi", false);
    kept.at = Some(jiff::Timestamp::from_second(1).unwrap());
    assert_eq!(ids(&merge(vec![kept], &[again], Some(&run("done")), late())), ["k1:user"]);
}

#[test]
fn events_reach_listeners_and_reload_forgets_the_copy() {
    let chats = Conversations::new("e".into());
    chats.apply(ChatEvent { session: "main".into(), change: ChatChange::Reload });
    assert!(chats.sessions.lock().is_empty(), "nobody looks, nothing is kept");

    let mut receiver = chats.subscribe("main");
    chats.apply(ChatEvent {
        session: "main".into(),
        change: ChatChange::Item(item("run:r1", ChatRole::Assistant, "a", true)),
    });
    chats.apply(ChatEvent {
        session: "main".into(),
        change: ChatChange::Item(item("run:r1", ChatRole::Assistant, "ab", true)),
    });
    let Ok(Update::Patch(first)) = receiver.try_recv() else { panic!() };
    assert_eq!((first.cursor.as_str(), first.item.as_ref().unwrap().text.as_str()), ("e-1", "a"));
    assert_eq!(chats.sessions.lock()["main"].items.len(), 1, "the same item grew");
    chats.apply(ChatEvent { session: "main".into(), change: ChatChange::Reload });
    assert!(!chats.sessions.lock()["main"].loaded);
}

#[test]
fn kept_conversations_are_bounded_and_watched_ones_stay() {
    let chats = Conversations::new("e".into());
    let watched = chats.subscribe("watched");
    for n in 0..SESSIONS_MAX * 2 {
        drop(chats.subscribe(&format!("s{n}")));
    }
    let sessions = chats.sessions.lock();
    assert!(sessions.len() <= SESSIONS_MAX && sessions.contains_key("watched"));
    drop(watched);
}
