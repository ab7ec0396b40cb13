//! The hub's events and the log stream.

use reef_testkit::{Client, Event, TestHub};
use reef_types::InstanceId;
use serde_json::json;

fn named<'a>(name: &'a str) -> impl Fn(&Event) -> bool + 'a {
    move |event| event.name == name
}

async fn resume(client: &Client, id: &str) -> reef_testkit::Events {
    client.clone().with("last-event-id", id).events("/api/events").await
}

#[tokio::test]
async fn everything_that_happens_is_told_in_order() {
    let (hub, client) = TestHub::owned().await;
    let mut events = client.events("/api/events").await;
    let hello = events.next().await.expect("an event");
    assert_eq!((hello.name.as_str(), &hello.data["resumed"]), ("hello", &json!(false)));
    assert!(hello.id.is_some(), "a client that hears nothing else can still resume");

    let made = client.post("/api/instances", json!({ "name": "scout" })).await.json();
    let first = events.find(named("instance")).await;
    assert_eq!((&first.data["name"], &first.data["job"]["id"]), (&json!("scout"), &made["job"]["id"]));
    let done = events.find(|event| event.name == "job" && event.data["state"] == "done").await;
    assert_eq!(done.data["id"], made["job"]["id"]);
    let settled = events.find(named("instance")).await;
    assert_eq!(
        (&settled.data["phase"], &settled.data["job"]),
        (&json!("running"), &json!(null)),
        "it names no ended job"
    );

    assert_eq!(client.delete("/api/instances/scout?wait=done").await.status, 200);
    let mut phases = Vec::new();
    let removed = loop {
        let event = events.next().await.expect("an event");
        match event.name.as_str() {
            "instance" => phases.push(event.data["phase"].as_str().expect("a phase").to_owned()),
            "instanceRemoved" => break event,
            _ => {}
        }
    };
    assert_eq!(removed.data, json!({ "id": first.data["id"], "name": "scout" }));
    assert_eq!(phases.last().map(String::as_str), Some("deleting"), "{phases:?}");
    // Nothing of it comes up again.
    hub.create(&client, "other").await;
    let next = events.find(named("instance")).await;
    assert_eq!(next.data["name"], "other");
}

#[tokio::test]
async fn a_client_that_comes_back_misses_nothing_and_hears_nothing_twice() {
    let (hub, client) = TestHub::owned().await;
    let mut events = client.events("/api/events").await;
    let hello = events.next().await.expect("an event");
    hub.create(&client, "scout").await;
    let mut all = Vec::new();
    while !all.last().is_some_and(|event: &Event| {
        event.name == "instance" && event.data["phase"] == "running" && event.data["job"].is_null()
    }) {
        all.push(events.next().await.expect("an event"));
    }
    drop(events);
    let ids: Vec<_> = all.iter().map(|event| event.id.clone().expect("an id")).collect();
    for (seen, id) in
        std::iter::once(hello.id.as_deref().expect("an id")).chain(ids.iter().map(String::as_str)).enumerate()
    {
        let mut again = resume(&client, id).await;
        let hello = again.next().await.expect("an event");
        assert_eq!((hello.name.as_str(), &hello.data["resumed"]), ("hello", &json!(true)), "{id}");
        for missed in &all[seen..] {
            assert_eq!(&again.next().await.expect("an event"), missed);
        }
    }
    for odd in ["", "junk", "0198a0a000007000800000000000000a-1", "-1", &format!("{}9999", ids[0])] {
        let hello = resume(&client, odd).await.next().await.expect("an event");
        assert_eq!((hello.name.as_str(), &hello.data["resumed"]), ("hello", &json!(false)), "{odd}");
    }
    let hub = hub.restart().await;
    let hello = resume(&client.at(hub.addr), &ids[0]).await.next().await.expect("an event");
    assert_eq!(hello.data["resumed"], false, "ids of another run of the hub are not taken for its own");
}

#[tokio::test]
async fn streams_end_with_the_hub() {
    let (hub, client) = TestHub::owned().await;
    hub.create(&client, "scout").await;
    let mut streams = Vec::new();
    for path in ["/api/events", "/api/instances/scout/chat/main/stream", "/api/instances/scout/logs?follow=true"] {
        streams.push(client.events(path).await);
    }
    hub.versions.hold(true);
    let waiting = {
        let client = client.clone();
        let body = json!({ "name": "slow", "agent": { "kind": "fake", "version": "3.0.0" } });
        tokio::spawn(async move { client.post("/api/instances?wait=ready", body).await })
    };
    hub.wait_for_phase(&client, "slow", "preparing").await;
    let started = tokio::time::Instant::now();
    let hub = hub.restart().await;
    assert!(started.elapsed() < std::time::Duration::from_secs(2), "nothing had to be cut");
    for stream in &mut streams {
        stream.rest().await;
    }
    let answer = waiting.await.expect("an answer");
    answer.assert_refused(503, "shutting_down");
    assert_eq!(hub.anonymous().get("/health").await.status, 200);
}

#[tokio::test]
async fn logs() {
    let (hub, client) = TestHub::owned().await;
    let view = hub.create(&client, "scout").await;
    let id: InstanceId = view["id"].as_str().expect("an id").parse().expect("an id");
    for n in 1..=5 {
        hub.driver.print(id, &format!("line {n}"));
    }
    let texts = |events: &[Event]| -> Vec<String> {
        events.iter().map(|event| event.data["text"].as_str().unwrap_or(&event.name).to_owned()).collect()
    };
    let all = client.events("/api/instances/scout/logs").await.rest().await;
    assert_eq!(texts(&all), ["line 1", "line 2", "line 3", "line 4", "line 5", "end"]);
    let two = client.events("/api/instances/scout/logs?tail=2").await.rest().await;
    assert_eq!(texts(&two), ["line 4", "line 5", "end"]);

    let mut follow = client.events("/api/instances/scout/logs?follow=true&tail=1").await;
    assert_eq!(texts(&[follow.next().await.expect("a line")]), ["line 5"]);
    hub.driver.print(id, "line 6");
    assert_eq!(texts(&[follow.next().await.expect("a line")]), ["line 6"]);
    // A line cannot end its event and begin another.
    hub.driver.print(id, "a\n\nevent: line\ndata: {}\n\n");
    assert_eq!(texts(&[follow.next().await.expect("a line")]), ["a\n\nevent: line\ndata: {}\n\n"]);

    client.get("/api/instances/scout/logs?tail=10001").await.assert_refused(400, "invalid_request");
    client.get("/api/instances/scout/logs?tail=-1").await.assert_refused(400, "invalid_request");
}
