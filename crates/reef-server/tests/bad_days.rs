//! What goes wrong on the way to a running instance and afterwards, and what the outside sees of it.

use std::time::Duration;

use reef_driver::{
    DriverError, DriverEvent, Exit, Reason,
    testkit::{Failure, Verb},
};
use reef_testkit::{Answer, Client, Settings, TestHub};
use reef_types::InstanceId;
use serde_json::{Value, json};

fn id_of(view: &Value) -> InstanceId {
    view["id"].as_str().expect("an id").parse().expect("an id")
}

fn exit(code: i32) -> Exit {
    Exit { code: Some(code), signal: None, out_of_memory: false, setup_error: None }
}

fn count(hub: &TestHub, verb: Verb) -> usize {
    hub.driver.calls().iter().filter(|call| call.verb == verb).count()
}

async fn create(client: &Client, name: &str) -> Answer {
    client.post("/api/instances?wait=ready", json!({ "name": name })).await
}

async fn create_later(client: &Client, name: &str) -> Value {
    let answer = client.post("/api/instances", json!({ "name": name })).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    answer.json()
}

/// Waits until a job is settled.
async fn settled(client: &Client, job: &Value) -> Value {
    let path = format!("/api/jobs/{}", job["id"].as_str().expect("an id"));
    let open = |job: &Value| matches!(job["state"].as_str(), Some("queued" | "running"));
    client.wait_for(&path, |answer| !open(&answer.json()["job"])).await.json()["job"].clone()
}

fn ready_condition(view: &Value) -> &Value {
    let conditions = view["conditions"].as_array().expect("conditions");
    conditions.iter().find(|condition| condition["type"] == "Ready").expect("a condition")
}

#[tokio::test]
async fn whatever_step_fails_the_instance_says_why_and_can_be_started_again_or_removed() {
    let refuse = |verb, reason, text: &str| Failure::Refuse { verb, error: DriverError::new(reason, text) };
    for (what, failure, reason) in [
        ("no network", None, "network"),
        ("disk full", Some(refuse(Verb::Prepare, Reason::Exhausted, "no space left")), "exhausted"),
        ("not allowed", Some(refuse(Verb::Start, Reason::Permission, "user namespaces are off")), "permission"),
        ("no version", Some(refuse(Verb::Start, Reason::VersionMissing, "gone")), "version_missing"),
        ("doors", Some(refuse(Verb::Door, Reason::Internal, "port taken")), "internal"),
        ("secrets", Some(refuse(Verb::PutSecrets, Reason::Permission, "no")), "permission"),
    ] {
        let (hub, client) = TestHub::owned().await;
        match &failure {
            Some(failure) => hub.driver.fail(failure.clone()),
            None => hub.versions.set_failure(Some(DriverError::new(Reason::Network, "the registry is out of reach"))),
        }
        let answer = create(&client, "scout").await;
        answer.assert_refused(500, "instance_failed");
        assert_eq!(answer.json()["error"]["details"]["reason"], reason, "{what}");
        let view = hub.wait_for_phase(&client, "scout", "failed").await;
        assert_eq!((&ready_condition(&view)["reason"], &view["job"]), (&json!(reason), &Value::Null), "{what}");

        // Nothing runs that nobody looks after.
        let id = id_of(&view);
        hub.driver.heal();
        hub.versions.set_failure(None);
        let stopped = async {
            use reef_driver::{Driver, ProcessState};
            loop {
                match hub.driver.observe(id).await {
                    Ok(observed) if matches!(observed.process, ProcessState::Running { .. }) => {
                        tokio::time::sleep(Duration::from_millis(10)).await;
                    }
                    _ => break,
                }
            }
        };
        tokio::time::timeout(reef_testkit::PATIENCE, stopped).await.expect("it is stopped");

        let answer = client.post("/api/instances/scout/start?wait=ready", json!({})).await;
        assert_eq!(
            (answer.status, &answer.json()["instance"]["phase"]),
            (200, &json!("running")),
            "{what}: {answer:?}"
        );

        // And the other way: remove what failed.
        match &failure {
            Some(failure) => hub.driver.fail(failure.clone()),
            None => {
                use reef_driver::VersionStore;
                let _ = hub.versions.remove("fake", "1.0.0").await;
                hub.versions.set_failure(Some(DriverError::new(Reason::Network, "the registry is out of reach")));
            }
        }
        create(&client, "second").await.assert_refused(500, "instance_failed");
        let answer = client.delete("/api/instances/second?wait=done").await;
        assert_eq!(answer.status, 200, "{what}: {answer:?}");
        client.get("/api/instances/second").await.assert_refused(404, "instance_not_found");
    }
}

#[tokio::test]
async fn what_passes_by_itself_is_tried_again() {
    let (hub, client) = TestHub::owned().await;
    for verb in [Verb::Prepare, Verb::Start, Verb::Observe, Verb::Door] {
        let error = DriverError::new(Reason::Unavailable, "the node is away");
        hub.driver.fail_times(Failure::Refuse { verb, error }, 2);
    }
    let answer = create(&client, "scout").await;
    assert_eq!(answer.status, 201, "{answer:?}");
    let kinds: Vec<_> = answer.json()["instance"]["conditions"]
        .as_array()
        .expect("conditions")
        .iter()
        .map(|condition| condition["type"].as_str().expect("a type").to_owned())
        .collect();
    assert!(!kinds.contains(&"Reconciled".to_owned()), "the trouble is over: {kinds:?}");
}

#[tokio::test]
async fn an_agent_that_dies_at_once_is_started_a_few_times_and_then_given_up() {
    let (hub, client) = TestHub::owned().await;
    hub.driver.fail(Failure::ExitAtOnce { exit: exit(3) });
    let answer = create(&client, "scout").await;
    answer.assert_refused(500, "instance_failed");
    assert_eq!(answer.json()["error"]["details"]["reason"], "exited");
    let message = answer.json()["error"]["message"].as_str().expect("text").to_owned();
    assert!(message.contains("exited with code 3") && message.contains("6 times"), "{message}");
    assert_eq!(count(&hub, Verb::Start), 6);

    hub.driver.heal();
    let answer = client.post("/api/instances/scout/start?wait=ready", json!({})).await;
    assert_eq!(answer.status, 200, "a new start has new tries: {answer:?}");
}

#[tokio::test]
async fn an_agent_that_crashes_is_started_again_and_everybody_is_told() {
    let (hub, client) = TestHub::owned().await;
    let view = hub.create(&client, "scout").await;
    let mut events = client.events("/api/events").await;
    for (end, reason) in [
        (exit(1), "exited"),
        (Exit { out_of_memory: true, ..exit(137) }, "out_of_memory"),
        (Exit { code: None, signal: Some(9), ..exit(0) }, "exited"),
    ] {
        hub.driver.end(id_of(&view), end);
        events.find(|event| event.name == "instance" && ready_condition(&event.data)["reason"] == reason).await;
        events.find(|event| event.name == "instance" && event.data["phase"] == "running").await;
    }
    assert_eq!(count(&hub, Verb::Start), 4);
}

#[tokio::test]
async fn an_agent_that_never_gets_ready_is_stopped_and_given_up() {
    let settings = Settings { ready_limit: Duration::from_millis(50), ..Settings::default() };
    let (hub, client) = TestHub::owned_with(settings).await;
    hub.agent.set_ready(false);
    let answer = create(&client, "scout").await;
    answer.assert_refused(500, "instance_failed");
    assert_eq!(answer.json()["error"]["details"]["reason"], "ready_timeout");
    let view = hub.wait_for_phase(&client, "scout", "failed").await;
    assert_eq!(ready_condition(&view)["reason"], "ready_timeout");
    assert_eq!(count(&hub, Verb::Stop), 1, "its process is stopped");
    client.get("/api/instances/scout/proxy/").await.assert_refused(503, "instance_unavailable");

    hub.agent.set_ready(true);
    let answer = client.post("/api/instances/scout/start?wait=ready", json!({})).await;
    assert_eq!((answer.status, &answer.json()["instance"]["phase"]), (200, &json!("running")), "{answer:?}");
}

#[tokio::test]
async fn secrets_are_taken_away_once_ready_and_put_back_while_the_agent_is_lost() {
    let (hub, client) = TestHub::owned().await;
    let id = id_of(&hub.create(&client, "scout").await);
    let names = |hub: &TestHub| hub.driver.secrets(id).into_iter().map(|secret| secret.name).collect::<Vec<_>>();
    assert_eq!(names(&hub), ["broker-key"], "the gateway's token was needed for the start only");

    hub.agent.set_ready(false);
    hub.wait_for_phase(&client, "scout", "degraded").await;
    assert_eq!(names(&hub), ["gateway-token", "broker-key"], "an agent that starts itself anew needs it");

    hub.agent.set_ready(true);
    hub.wait_for_phase(&client, "scout", "running").await;
    assert_eq!(names(&hub), ["broker-key"]);
    assert_eq!(count(&hub, Verb::Start), 1, "the process was left alone");
}

#[tokio::test]
async fn a_link_that_comes_back_soon_is_nobody_s_business() {
    let pacing = reef_server::Pacing { link_grace: reef_testkit::PATIENCE, ..Settings::default().pacing };
    let (hub, client) = TestHub::owned_with(Settings { pacing, ..Settings::default() }).await;
    hub.create(&client, "scout").await;
    let mut events = client.events("/api/events").await;
    hub.agent.set_ready(false);
    hub.agent.set_ready(true);
    hub.create(&client, "later").await;
    let seen = events.find(|event| event.name == "instance" && event.data["phase"] != "running").await;
    assert_eq!(seen.data["name"], "later");
}

#[tokio::test]
async fn an_agent_that_stays_away_is_started_anew() {
    let pacing = reef_server::Pacing { degraded_max: Duration::from_millis(100), ..Settings::default().pacing };
    let (hub, client) = TestHub::owned_with(Settings { pacing, ..Settings::default() }).await;
    hub.create(&client, "scout").await;
    hub.agent.set_ready(false);
    hub.wait_for(&client, "scout", |view| ready_condition(view)["reason"] == "unresponsive").await;
    hub.agent.set_ready(true);
    hub.wait_for_phase(&client, "scout", "running").await;
    assert_eq!((count(&hub, Verb::Stop), count(&hub, Verb::Start)), (1, 2));
}

#[tokio::test]
async fn a_start_is_cancelled_in_the_middle_of_the_installation() {
    let (hub, client) = TestHub::owned().await;
    hub.versions.hold(true);
    let made = create_later(&client, "scout").await;
    let view = hub.wait_for(&client, "scout", |view| view["job"]["progress"]["step"] == "Downloading").await;
    assert_eq!(view["phase"], "preparing");
    let path = format!("/api/jobs/{}/cancel", made["job"]["id"].as_str().expect("an id"));
    let answer = client.post(&path, json!({})).await;
    assert_eq!((answer.status, &answer.json()["job"]["state"]), (200, &json!("cancelled")), "{answer:?}");
    let view = hub.wait_for_phase(&client, "scout", "stopped").await;
    assert_eq!((&view["desired"], &view["job"]), (&json!("stopped"), &Value::Null));
    assert_eq!(client.post(&path, json!({})).await.json()["job"]["state"], "cancelled", "twice is as good as once");
    assert_eq!(count(&hub, Verb::Start), 0);

    hub.versions.hold(false);
    let answer = client.post("/api/instances/scout/start?wait=ready", json!({})).await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

#[tokio::test]
async fn an_instance_is_removed_in_the_middle_of_its_start() {
    for hold in ["installation", "readiness"] {
        let (hub, client) = TestHub::owned().await;
        hub.versions.hold(hold == "installation");
        hub.agent.set_ready(hold != "readiness");
        let made = create_later(&client, "scout").await;
        hub.wait_for_phase(&client, "scout", if hold == "readiness" { "starting" } else { "preparing" }).await;
        let answer = client.delete("/api/instances/scout?wait=done").await;
        assert_eq!(answer.status, 200, "{hold}: {answer:?}");
        client.get("/api/instances/scout").await.assert_refused(404, "instance_not_found");
        let job = settled(&client, &made["job"]).await;
        assert_eq!((&job["state"], &job["reason"]), (&json!("cancelled"), &json!("superseded")), "{hold}");
        use reef_driver::Driver;
        assert!(hub.driver.inventory().await.expect("a list").is_empty(), "{hold}: nothing is left");
    }
}

#[tokio::test]
async fn the_last_wish_counts() {
    let (hub, client) = TestHub::owned().await;
    hub.agent.set_ready(false);
    let made = create_later(&client, "scout").await;
    hub.wait_for_phase(&client, "scout", "starting").await;
    let stop = client.post("/api/instances/scout/stop", json!({})).await;
    assert_eq!(stop.status, 202, "{stop:?}");
    let start = client.post("/api/instances/scout/start", json!({})).await;
    let again = client.post("/api/instances/scout/start", json!({})).await;
    assert_eq!(start.json()["job"]["id"], again.json()["job"]["id"], "it is the same wish");
    hub.agent.set_ready(true);
    assert_eq!(settled(&client, &start.json()["job"]).await["state"], "done");
    assert_eq!(client.get("/api/instances/scout").await.json()["phase"], "running");
    assert_eq!(settled(&client, &made["job"]).await["reason"], "superseded");
    let stop = settled(&client, &stop.json()["job"]).await;
    assert!(stop["state"] == "done" || stop["reason"] == "superseded", "{stop}");
}

#[tokio::test]
async fn a_restart_is_not_done_before_there_is_a_new_process() {
    let (hub, client) = TestHub::owned().await;
    let view = hub.create(&client, "scout").await;
    for round in 1..=20 {
        // Passes that find the old process ready must not take the new wish for fulfilled.
        hub.driver.send_event(DriverEvent::Changed { id: id_of(&view) });
        let answer = client.post("/api/instances/scout/restart?wait=ready", json!({})).await;
        assert_eq!((answer.status, count(&hub, Verb::Start)), (200, 1 + round), "{answer:?}");
    }
}

#[tokio::test]
async fn what_is_not_removed_is_not_called_removed() {
    let (hub, client) = TestHub::owned().await;
    hub.create(&client, "scout").await;
    let error = DriverError::new(Reason::Permission, "state/x belongs to somebody else");
    hub.driver.fail_times(Failure::Refuse { verb: Verb::Destroy, error }, 1);
    let answer = client.delete("/api/instances/scout?wait=done").await;
    answer.assert_refused(500, "instance_failed");
    assert_eq!(answer.json()["error"]["details"]["reason"], "permission");
    let view = client.get("/api/instances/scout").await.json();
    assert_eq!((&view["phase"], &view["desired"]), (&json!("deleting"), &json!("deleted")));
    client.post("/api/instances/scout/start", json!({})).await.assert_refused(409, "instance_busy");
    client.post("/api/instances", json!({ "name": "scout" })).await.assert_refused(409, "instance_name_in_use");
    assert_eq!(client.delete("/api/instances/scout?wait=done").await.status, 200);
}

#[tokio::test]
async fn waiting_has_an_end_and_the_job_goes_on() {
    let (hub, client) = TestHub::owned().await;
    hub.agent.set_ready(false);
    let answer = client.post("/api/instances?wait=ready&timeoutMs=20", json!({ "name": "scout" })).await;
    answer.assert_refused(504, "wait_timeout");
    let job = answer.json()["error"]["details"]["jobId"].clone();
    hub.agent.set_ready(true);
    assert_eq!(settled(&client, &json!({ "id": job })).await["state"], "done");
}

#[tokio::test]
async fn a_machine_without_the_driver_s_means_is_not_ready() {
    let (hub, client) = TestHub::owned().await;
    assert_eq!(client.get("/healthcheck").await.json()["ready"], true);
    hub.driver.fail(Failure::Unusable { message: "user namespaces are switched off".to_owned() });
    let answer = hub.anonymous().get("/healthcheck").await;
    assert_eq!((answer.status, &answer.json()["unready"]), (503, &json!(["driver process"])), "{answer:?}");
    assert!(!String::from_utf8_lossy(&answer.body).contains("namespaces"), "why is not for everybody");
    assert_eq!(hub.anonymous().get("/health").await.status, 200);
    let checks = client.get("/api/system").await.json()["checks"].clone();
    let driver = checks.as_array().expect("checks").iter().find(|check| check["name"] == "driver process");
    assert_eq!(driver.expect("a check")["message"], "user namespaces are switched off");
}

#[tokio::test]
async fn versions_by_hand() {
    let (hub, client) = TestHub::owned().await;
    let install = |version: &str| client.post("/api/agents/fake/versions", json!({ "version": version }));
    let answer = install("1.0.0").await;
    assert_eq!(answer.status, 202, "{answer:?}");
    assert_eq!(settled(&client, &answer.json()["job"]).await["state"], "done");
    assert_eq!(client.get("/api/agents").await.json()["kinds"][0]["installed"][0]["version"], "1.0.0");

    install("0.0.1").await.assert_refused(422, "agent_version_unsupported");
    client.post("/api/agents/odd/versions", json!({ "version": "1.0.0" })).await.assert_refused(400, "invalid_request");

    hub.versions.set_failure(Some(DriverError::new(Reason::Integrity, "the digest is another one")));
    let job = settled(&client, &install("2.0.0").await.json()["job"]).await;
    assert_eq!((&job["state"], &job["reason"]), (&json!("failed"), &json!("integrity")), "{job}");
    hub.versions.set_failure(None);

    hub.versions.hold(true);
    let held = install("2.0.0").await.json()["job"].clone();
    let path = format!("/api/jobs/{}/cancel", held["id"].as_str().expect("an id"));
    assert_eq!(client.post(&path, json!({})).await.status, 200);
    assert_eq!(settled(&client, &held).await["state"], "cancelled");
    hub.versions.hold(false);

    hub.versions.use_version("fake", "1.0.0");
    client.delete("/api/agents/fake/versions/1.0.0").await.assert_refused(409, "agent_version_in_use");
    client.delete("/api/agents/fake/versions/7.0.0").await.assert_refused(404, "agent_version_not_found");
    client.get("/api/jobs/job_0198a0a0-0000-7000-8000-000000000000").await.assert_refused(404, "job_not_found");
    client.post("/api/jobs/junk/cancel", json!({})).await.assert_refused(404, "job_not_found");
}
