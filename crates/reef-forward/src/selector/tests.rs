use super::*;

fn run(path: &str, headers: &[&str], query: Option<&str>) -> Result<Selection, ErrorCode> {
    let mut map = HeaderMap::new();
    for value in headers {
        map.append(SELECTOR_HEADER, value.parse().unwrap());
    }
    select(path, &map, query).map_err(|err| err.code)
}

fn instance(selector: &str, rest: &str, prefix: &'static str) -> Result<Selection, ErrorCode> {
    Ok(Selection::Instance { selector: selector.into(), rest: rest.into(), prefix })
}

/// Path, selector headers, query, and what comes out.
type Row<'a> = (&'a str, &'a [&'a str], Option<&'a str>, Result<Selection, ErrorCode>);

#[test]
fn every_row_of_the_table() {
    let id = InstanceId::new().to_string();
    let by_id = format!("instanceId={id}");
    let rows: Vec<Row<'_>> = vec![
        ("/api/files/tree", &[], Some("instanceId=a"), instance("a", "/files/tree", "files")),
        ("/api/files", &["a"], None, instance("a", "/files", "files")),
        ("/api/files/tree", &[], Some("x=1&instanceId=a&y=%20"), instance("a", "/files/tree?x=1&y=%20", "files")),
        ("/api/files/tree", &[], Some("instance%49d=a&z"), instance("a", "/files/tree?z", "files")),
        (
            "/api/chat/main/stream",
            &["scout"],
            Some("cursor=4"),
            instance("scout", "/chat/main/stream?cursor=4", "chat"),
        ),
        ("/api/files", &["a"], Some("instanceId=a"), instance("a", "/files", "files")),
        ("/api/files", &[], Some(&by_id), instance(&id, "/files", "files")),
        ("/ws", &[], Some("instanceId=a"), instance("a", "/ws", "ws")),
        ("/ws", &[], None, Err(ErrorCode::InstanceRequired)),
        ("/api/files/tree", &[], None, Err(ErrorCode::InstanceRequired)),
        ("/api/files/tree", &[], Some("instanceid=a"), Err(ErrorCode::InstanceRequired)),
        ("/api/files", &["a"], Some("instanceId=b"), Err(ErrorCode::InvalidRequest)),
        ("/api/files", &["a", "a"], None, Err(ErrorCode::InvalidRequest)),
        ("/api/files", &[], Some("instanceId=a&instanceId=a"), Err(ErrorCode::InvalidRequest)),
        ("/api/files", &[], Some("instanceId="), Err(ErrorCode::UnknownSelector)),
        ("/api/files", &[], Some("instanceId=.."), Err(ErrorCode::UnknownSelector)),
        ("/api/files", &[], Some("instanceId=a%2Fb"), Err(ErrorCode::UnknownSelector)),
        ("/api/files", &["Scout"], None, Err(ErrorCode::UnknownSelector)),
        ("/api/files", &[""], None, Err(ErrorCode::UnknownSelector)),
        ("/api/instances", &["a"], None, Err(ErrorCode::HubOnlyPath)),
        ("/api/instances/a/files", &[], Some("instanceId=a"), Err(ErrorCode::HubOnlyPath)),
        ("/api/auth/login", &[], Some("instanceId=a"), Err(ErrorCode::HubOnlyPath)),
        ("/api/no-such-thing", &["a"], None, Err(ErrorCode::HubOnlyPath)),
        ("/api/filesystem", &["a"], None, Err(ErrorCode::HubOnlyPath)),
        ("/api/FILES", &["a"], None, Err(ErrorCode::HubOnlyPath)),
        ("/api/", &["a"], None, Err(ErrorCode::HubOnlyPath)),
        ("/health", &["a"], None, Err(ErrorCode::HubOnlyPath)),
        ("/api/instances", &[], None, Ok(Selection::Hub)),
        ("/api/no-such-thing", &[], None, Ok(Selection::Hub)),
        ("/api/events", &[], None, Ok(Selection::Hub)),
        ("/api/events", &["a"], None, instance("a", "/events", "events")),
        ("/api/usage", &[], Some("days=3"), Ok(Selection::Hub)),
        ("/", &[], Some("instanceId=a"), Ok(Selection::Hub)),
        ("/assets/index.js", &[], None, Ok(Selection::Hub)),
    ];
    for (path, headers, query, expect) in rows {
        assert_eq!(run(path, headers, query), expect, "{path} {headers:?} {query:?}");
    }
}

#[test]
fn no_instance_prefix_answers_for_the_hub_unless_it_is_shared() {
    for prefix in INSTANCE_PREFIXES {
        let path = format!("/api/{prefix}");
        let expect =
            if SHARED_PREFIXES.contains(prefix) { Ok(Selection::Hub) } else { Err(ErrorCode::InstanceRequired) };
        assert_eq!(run(&path, &[], None), expect, "{prefix}");
    }
    assert!(SHARED_PREFIXES.iter().all(|shared| INSTANCE_PREFIXES.contains(shared)));
}
