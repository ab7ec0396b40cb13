use super::*;

fn item(id: &str, role: ChatRole, text: &str, streaming: bool) -> ChatItem {
    ChatItem { id: id.into(), role, text: text.into(), streaming, tool: None, at: None }
}

fn ids(items: &[ChatItem]) -> Vec<&str> {
    items.iter().map(|i| i.id.as_str()).collect()
}

#[test]
fn history_wins_and_nothing_is_doubled() {
    let history = vec![item("k1:user", ChatRole::User, "hi", false), item("r1:1", ChatRole::Assistant, "hello", false)];
    let live = vec![
        item("k1:user", ChatRole::User, "hi", false),
        item("r1:1", ChatRole::Assistant, "hel", true),
        item("r2:1", ChatRole::Assistant, "a", true),
    ];
    let pending = HashSet::from(["k1:user".to_owned()]);
    assert_eq!(ids(&merge(history.clone(), &live, &pending, false)), ["k1:user", "r1:1"]);
    // While a turn goes on, what is still growing stays, and a sent message that history has not got yet too.
    let merged = merge(history, &live, &pending, true);
    assert_eq!(ids(&merged), ["k1:user", "r1:1", "r2:1"]);
    assert_eq!(merged[1].text, "hello", "the words of history, not the earlier live ones");
    assert_eq!(ids(&merge(vec![], &live, &pending, false)), ["k1:user"]);
}

#[test]
fn a_message_is_shown_at_once_and_taken_back_when_it_was_refused() {
    let chats = Conversations::new("e".into());
    let mut receiver = chats.subscribe("main");
    chats.sent("main", "k1", "hi", jiff::Timestamp::UNIX_EPOCH);
    let Ok(Update::Patch(patch)) = receiver.try_recv() else { panic!() };
    assert_eq!(patch.item.as_ref().unwrap().id, "k1:user");
    chats.retract("main", "k1");
    assert!(matches!(receiver.try_recv(), Ok(Update::Reset)));
    assert!(chats.sessions.lock()["main"].items.is_empty());
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
