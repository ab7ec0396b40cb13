//! Instances over HTTP: create, look, stop, start, delete, and what goes wrong on the way.

use http::Method;
use reef_testkit::TestHub;
use serde_json::json;

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

    let answer = client.send(Method::DELETE, "/api/instances/scout?wait=done", None).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(client.get("/api/instances/scout").await.code(), "instance_not_found");
}
