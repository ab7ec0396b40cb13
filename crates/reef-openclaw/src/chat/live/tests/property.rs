//! However the pieces of a turn are cut, merged, lost or joined midway: it ends as its history reads.

use proptest::prelude::*;

use super::*;

/// One message of the assistant, and at which of its characters pieces are sent.
#[derive(Debug, Clone)]
struct Message {
    text: String,
    cuts: Vec<prop::sample::Index>,
    has_tool: bool,
}

/// How the turn is watched.
#[derive(Debug, Clone)]
struct Watch {
    /// Whether pieces come from the agent alone, or joined from `chat` too.
    source: Source,
    /// Pieces that get lost on the way (the gateway drops what we are too slow for).
    lost: Vec<bool>,
    /// The connection is lost and comes back before this message.
    resync_before: Option<prop::sample::Index>,
    end: &'static str,
    row_after_end: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Source {
    Agent,
    Both,
}

fn message() -> impl Strategy<Value = Message> {
    (
        "[a-zé ]{0,3}[a-zé]{1,12}[ \n]?[a-z]{0,9}",
        prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        any::<bool>(),
    )
        .prop_map(|(text, cuts, has_tool)| Message { text, cuts, has_tool })
}

fn watch() -> impl Strategy<Value = Watch> {
    (
        prop_oneof![Just(Source::Agent), Just(Source::Both)],
        prop::collection::vec(prop::bool::weighted(0.2), 0..16),
        prop::option::of(any::<prop::sample::Index>()),
        prop_oneof![Just("final"), Just("aborted")],
        any::<bool>(),
    )
        .prop_map(|(source, lost, resync_before, end, row_after_end)| Watch {
            source,
            lost,
            resync_before,
            end,
            row_after_end,
        })
}

/// Beginnings of `text`, growing, the whole of it last.
fn beginnings(message: &Message) -> Vec<String> {
    let chars: Vec<char> = message.text.chars().collect();
    let mut ends: Vec<usize> = message.cuts.iter().map(|cut| cut.index(chars.len()) + 1).collect();
    ends.sort_unstable();
    ends.push(chars.len());
    ends.into_iter().map(|end| chars[..end].iter().collect()).collect()
}

fn stored(index: usize, message: &Message) -> Vec<Value> {
    let id = format!("a{index}");
    let mut rows = vec![assistant_row(&id, &message.text)];
    if message.has_tool {
        let call = format!("c{index}");
        rows.push(json!({"role": "assistant", "content": [{"type": "toolCall", "id": call, "name": "exec",
            "arguments": {"command": "ls"}}], "__openclaw": {"runId": "run-1", "id": id}}));
        rows.push(json!({"role": "toolResult", "toolCallId": call, "content": "out",
            "__openclaw": {"runId": "run-1", "id": format!("t{index}")}}));
    }
    rows
}

fn joined(messages: &[Message]) -> String {
    messages.iter().map(|message| message.text.trim()).collect::<Vec<_>>().join("\n\n")
}

proptest! {
    #[test]
    fn ends_as_history_reads(messages in prop::collection::vec(message(), 1..5), watch in watch()) {
        let mut lab = Lab::new();
        let mut transcript = vec![user_row("go")];
        let mut lost = watch.lost.iter().copied().chain(std::iter::repeat(false));
        let resync = watch.resync_before.map(|index| index.index(messages.len()));
        lab.feed(row(user_row("go")));
        for (index, message) in messages.iter().enumerate() {
            if resync == Some(index) {
                let mut page = page(transcript.clone());
                page.in_flight_run =
                    serde_json::from_value(json!({"runId": "run-1", "text": joined(&messages[..index])})).unwrap();
                // The other side of the connection forgets everything, as a restarted hub does.
                lab.tracker = Tracker::default();
                let events = lab.tracker.on_resync(SESSION, &page, lab.now);
                lab.show(events);
            }
            for text in beginnings(message) {
                if lost.next() == Some(true) {
                    continue;
                }
                lab.feed(words(&format!("a:{}", index + 1), text.trim_end()));
                if watch.source == Source::Both {
                    let all = [joined(&messages[..index]), text].join("\n\n");
                    lab.feed(chat("delta", said(&all)));
                }
            }
            let rows = stored(index, message);
            let is_last = index + 1 == messages.len();
            if !(is_last && watch.row_after_end) {
                rows.iter().cloned().for_each(|message| { lab.feed(row(message)); });
            }
            transcript.extend(rows);
        }
        let mut reloaded = is_reload(&lab.feed(chat(watch.end, said(&joined(&messages)))));
        if watch.row_after_end {
            let rows = stored(messages.len() - 1, &messages[messages.len() - 1]);
            for message in rows {
                reloaded |= is_reload(&lab.feed(row(message)));
            }
        }
        reloaded |= is_reload(&lab.tick(ROW_WAIT));
        prop_assert!(reloaded);

        // Even without reading the history again, the words are those of the history, under the same ids.
        let history = rows::project(&transcript, false, None).items;
        let expect: Vec<(&str, &str)> = history.iter().map(|i| (i.id.as_str(), i.text.as_str())).collect();
        prop_assert_eq!(lab.screen.texts(), expect);
        prop_assert!(lab.screen.items.iter().all(|item| !item.streaming));
        prop_assert!(lab.screen.phases.last().is_some_and(|phase| phase == "done" || phase == "aborted"));
    }

    #[test]
    fn words_from_chat_alone_add_up(pieces in prop::collection::vec(("[a-z ]{1,8}", prop::bool::weighted(0.2)), 1..12)) {
        let mut lab = Lab::new();
        let mut expect = String::new();
        for (piece, replace) in &pieces {
            if *replace { expect.clear(); }
            expect.push_str(piece);
            lab.feed(chat("delta", json!({"deltaText": piece, "replace": replace})));
        }
        prop_assume!(!expect.trim().is_empty());
        prop_assert_eq!(lab.screen.texts(), [("run-1:1", expect.trim())]);
    }

    #[test]
    fn no_event_breaks_the_tracker(kind in "chat|agent|session.message|session.tool", keys in prop::collection::vec(
        ("runId|sessionKey|state|stream|data|message|deltaText", prop_oneof![
            Just(json!(null)), Just(json!("x")), Just(json!(7)), Just(json!({"text": "x", "content": [1, {"type": 3}]})),
            Just(json!("final")), Just(json!("tool")), Just(json!([]))]), 0..7)) {
        let mut tracker = Tracker::default();
        let payload: serde_json::Map<String, Value> = keys.into_iter().collect();
        tracker.on_event(&event(&kind, payload.into()), Instant::now());
    }
}
