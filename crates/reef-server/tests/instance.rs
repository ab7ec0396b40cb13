//! Instances over HTTP: create, look, stop, start, delete.

use reef_driver::testkit::Verb;
use reef_testkit::{Client, TestHub};
use serde_json::{Value, json};

#[tokio::test]
async fn an_instance_lives_and_goes() {
    let (hub, client) = TestHub::owned().await;
    let view = hub.create(&client, "scout").await;
    assert_eq!((view["phase"].as_str(), view["availability"].as_str()), (Some("running"), Some("ready")));

    let answer = client.post("/api/instances/scout/stop?wait=done", json!({})).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.json()["instance"]["phase"], "stopped");
    let list = client.get("/api/instances").await.json();
    assert_eq!(list["instances"][0]["name"], "scout", "a stopped instance stays in the list");

    let answer = client.post("/api/instances/scout/start?wait=ready", json!({})).await;
    assert_eq!((answer.status, answer.json()["instance"]["phase"].as_str().unwrap()), (200, "running"));

    let answer = client.delete("/api/instances/scout?wait=done").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let message = answer.json()["job"]["message"].as_str().expect("a report").to_owned();
    assert_eq!(message, "removed: instance, files; kept: nothing");
    client.get("/api/instances/scout").await.assert_refused(404, "instance_not_found");
    assert_eq!(client.get("/api/instances").await.json()["instances"], json!([]));
}

#[tokio::test]
async fn wishes_that_cannot_be() {
    let (_hub, client) = TestHub::owned().await;
    let long = "a".repeat(41);
    let many: Value = (0..33).map(|n| (format!("k{n}"), json!("v"))).collect::<serde_json::Map<_, _>>().into();
    for (body, status, field) in [
        (json!({ "name": "" }), 400, "name"),
        (json!({ "name": "-a" }), 400, "name"),
        (json!({ "name": "a-" }), 400, "name"),
        (json!({ "name": "A" }), 400, "name"),
        (json!({ "name": "a.b" }), 400, "name"),
        (json!({ "name": "a_b" }), 400, "name"),
        (json!({ "name": "a b" }), 400, "name"),
        (json!({ "name": "../a" }), 400, "name"),
        (json!({ "name": "a\n" }), 400, "name"),
        (json!({ "name": "ä" }), 400, "name"),
        (json!({ "name": long }), 400, "name"),
        (json!({ "name": "credentials" }), 400, "name"),
        (json!({ "name": "a", "displayName": "x".repeat(81) }), 400, "displayName"),
        (json!({ "name": "a", "displayName": "x\u{7}" }), 400, "displayName"),
        (json!({ "name": "a", "driver": "docker" }), 400, "driver"),
        (json!({ "name": "a", "agent": { "kind": "hermes" } }), 400, "agent.kind"),
        (json!({ "name": "a", "agent": { "kind": "fake", "version": "0.0.1" } }), 422, "agent.version"),
        (json!({ "name": "a", "model": "nobody/knows" }), 400, "model"),
        (json!({ "name": "a", "resources": { "memoryBytes": 1 } }), 400, "resources.memoryBytes"),
        (json!({ "name": "a", "resources": { "memoryBytes": 1_u64 << 43 } }), 400, "resources.memoryBytes"),
        (json!({ "name": "a", "resources": { "cpusMilli": 99 } }), 400, "resources.cpusMilli"),
        (json!({ "name": "a", "resources": { "pids": 1 } }), 400, "resources.pids"),
        (json!({ "name": "a", "labels": { "": "x" } }), 400, "labels"),
        (json!({ "name": "a", "labels": { "k": "a b" } }), 400, "labels"),
        (json!({ "name": "a", "labels": many }), 400, "labels"),
    ] {
        let answer = client.post("/api/instances", body.clone()).await;
        let code = if status == 400 { "invalid_request" } else { "agent_version_unsupported" };
        answer.assert_refused(status, code);
        assert_eq!(answer.json()["error"]["field"], field, "{body}");
    }
    for body in [
        json!({}),
        json!({ "name": 7 }),
        json!({ "name": "a", "surprise": 1 }),
        json!({ "name": "a", "egress": "maybe" }),
        json!({ "name": "a", "resources": { "disk": 1 } }),
        json!({ "name": "a", "agent": { "version": "1.0.0" } }),
        json!([]),
    ] {
        client.post("/api/instances", body).await.assert_refused(400, "invalid_request");
    }
    let answer = client.post("/api/instances?wait=perhaps", json!({ "name": "a" })).await;
    answer.assert_refused(400, "invalid_request");
    client
        .post("/api/instances?wait=ready&timeoutMs=x", json!({ "name": "a" }))
        .await
        .assert_refused(400, "invalid_request");
    client.delete("/api/instances/a?data=perhaps").await.assert_refused(400, "invalid_request");
    assert_eq!(client.get("/api/instances").await.json()["instances"], json!([]), "nothing was made");
    assert_eq!(client.get("/api/jobs").await.json()["items"], json!([]));
}

#[tokio::test]
async fn of_several_with_one_name_one_is_made() {
    let (hub, client) = TestHub::owned().await;
    let wishes = (0..8).map(|_| client.post("/api/instances", json!({ "name": "scout" })));
    let answers = futures_util::future::join_all(wishes).await;
    let made = answers.iter().filter(|answer| answer.status == 202).count();
    assert_eq!(made, 1, "{answers:?}");
    for answer in answers.iter().filter(|answer| answer.status != 202) {
        answer.assert_refused(409, "instance_name_in_use");
        assert_eq!(answer.json()["error"]["field"], "name");
    }
    hub.wait_for_phase(&client, "scout", "running").await;
    client.post("/api/instances", json!({ "name": "scout" })).await.assert_refused(409, "instance_name_in_use");

    // A name is free again once its bearer is gone, and nothing of the old one is in the new one.
    let old = client.get("/api/instances/scout").await.json();
    assert_eq!(client.delete("/api/instances/scout?wait=done").await.status, 200);
    let new = hub.create(&client, "scout").await;
    assert_ne!(old["id"], new["id"]);
}

#[tokio::test]
async fn everything_that_was_wished_is_in_the_view() {
    let (hub, client) = TestHub::owned().await;
    let wish = json!({
        "name": "scout", "displayName": "Scout, the first", "driver": "process",
        "agent": { "kind": "fake", "version": "2.0.0" }, "model": "echo/echo-1", "egress": "open",
        "resources": { "memoryBytes": 1_u64 << 30, "cpusMilli": 500, "pids": 64 }, "labels": { "team": "a/b" },
    });
    let answer = client.post("/api/instances?wait=ready", wish.clone()).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    let view = answer.json()["instance"].clone();
    for field in ["name", "displayName", "driver", "agent", "model", "egress", "labels"] {
        assert_eq!(view[field], wish[field], "{field}");
    }
    assert_eq!(view["resources"]["requested"], wish["resources"]);
    assert!(view["resources"]["enforced"].as_array().is_some_and(|limits| !limits.is_empty()), "{view:#}");
    assert_eq!(
        (&view["desired"], &view["generation"], &view["observedGeneration"]),
        (&json!("running"), &json!(1), &json!(1))
    );
    assert_eq!(view["job"], Value::Null, "the job is done");
    let id = view["id"].as_str().expect("an id");
    assert_eq!(client.get(&format!("/api/instances/{id}")).await.json()["name"], "scout");

    let token = client.get("/api/instances/scout/token").await;
    assert_eq!(token.json(), json!({ "token": "marker-gateway-token" }));
    assert_eq!(token.header("cache-control"), "no-store");
    drop(hub);
}

async fn names(client: &Client, query: &str) -> Vec<String> {
    let list = client.get(&format!("/api/instances{query}")).await.json();
    let views = list["instances"].as_array().unwrap_or_else(|| panic!("{list}"));
    views.iter().map(|view| view["name"].as_str().expect("a name").to_owned()).collect()
}

#[tokio::test]
async fn lists_are_filtered() {
    let (hub, client) = TestHub::owned().await;
    for (name, labels) in
        [("c", json!({ "team": "red" })), ("a", json!({ "team": "blue", "gpu": "" })), ("b", json!({}))]
    {
        let answer = client.post("/api/instances?wait=ready", json!({ "name": name, "labels": labels })).await;
        assert_eq!(answer.status, 201, "{answer:?}");
    }
    assert_eq!(client.post("/api/instances/b/stop?wait=done", json!({})).await.status, 200);
    for (query, expect) in [
        ("", &["a", "b", "c"][..]),
        ("?phase=running", &["a", "c"]),
        ("?phase=stopped", &["b"]),
        ("?phase=failed", &[]),
        ("?label=team", &["a", "c"]),
        ("?label=team=red", &["c"]),
        ("?label=team%3Dred", &["c"]),
        ("?label=team=", &[]),
        ("?label=gpu=", &["a"]),
        ("?driver=process", &["a", "b", "c"]),
        ("?driver=docker", &[]),
        ("?label=team&phase=running&driver=process", &["a", "c"]),
    ] {
        assert_eq!(names(&client, query).await, expect, "{query}");
    }
    client.get("/api/instances?phase=odd").await.assert_refused(400, "invalid_request");
    drop(hub);
}

#[tokio::test]
async fn unknown_instances_are_not_found() {
    let (_hub, client) = TestHub::owned().await;
    for id in ["missing", "ins_0198a0a0-0000-7000-8000-000000000000", "No_Name", "%2e%2e", "a%2fb"] {
        for (method, path) in [
            ("GET", ""),
            ("DELETE", ""),
            ("POST", "/start"),
            ("POST", "/stop"),
            ("POST", "/restart"),
            ("GET", "/token"),
            ("GET", "/logs"),
            ("GET", "/sessions"),
            ("GET", "/chat/main/stream"),
            ("GET", "/proxy/"),
        ] {
            let method = method.parse().expect("a method");
            let answer = client.send(method, &format!("/api/instances/{id}{path}"), None).await;
            answer.assert_refused(404, "instance_not_found");
        }
    }
}

#[tokio::test]
async fn asking_for_what_is_already_so_changes_nothing() {
    let (hub, client) = TestHub::owned().await;
    hub.create(&client, "scout").await;
    let before = client.get("/api/instances/scout").await.json();
    let done = |hub: &TestHub| {
        let work = [Verb::Prepare, Verb::Start, Verb::Stop];
        hub.driver.calls().iter().filter(|call| work.contains(&call.verb)).count()
    };
    let before_start = done(&hub);
    let answer = client.post("/api/instances/scout/start", json!({})).await;
    assert_eq!((answer.status, &answer.json()["job"]), (200, &Value::Null), "{answer:?}");
    assert_eq!(client.get("/api/instances/scout").await.json()["generation"], before["generation"]);
    assert_eq!(done(&hub), before_start, "the driver did nothing");

    assert_eq!(client.post("/api/instances/scout/stop?wait=done", json!({})).await.status, 200);
    for _ in 0..2 {
        let answer = client.post("/api/instances/scout/stop", json!({})).await;
        assert_eq!((answer.status, &answer.json()["job"]), (200, &Value::Null), "{answer:?}");
    }
    let answer = client.post("/api/instances/scout/restart?wait=ready", json!({})).await;
    assert_eq!((answer.status, &answer.json()["instance"]["phase"]), (200, &json!("running")), "a stopped one starts");
}

#[tokio::test]
async fn kept_data_stays() {
    let (hub, client) = TestHub::owned().await;
    let view = hub.create(&client, "scout").await;
    let answer = client.delete("/api/instances/scout?data=keep&wait=done").await;
    assert_eq!(answer.json()["job"]["message"], "removed: instance; kept: files", "{answer:?}");
    let id: reef_types::InstanceId = view["id"].as_str().expect("an id").parse().expect("an id");
    assert!(hub.driver.secrets(id).is_empty());
}
