//! The hub is ended or cut off in every phase of an instance. Nothing is lost, and the next hub goes on.

use reef_driver::{
    DriverError, Reason,
    testkit::{Failure, Verb},
};
use reef_testkit::{Client, TestHub};
use reef_types::InstanceId;
use serde_json::{Value, json};

#[derive(Debug, Clone, Copy, PartialEq)]
enum End {
    InGoodOrder,
    Cut,
}

const ENDS: [End; 2] = [End::InGoodOrder, End::Cut];

async fn end(hub: TestHub, how: End, client: Client) -> (TestHub, Client) {
    let hub = match how {
        End::InGoodOrder => hub.restart().await,
        End::Cut => hub.crash().await,
    };
    let client = client.at(hub.addr);
    (hub, client)
}

fn id_of(view: &Value) -> InstanceId {
    view["id"].as_str().expect("an id").parse().expect("an id")
}

fn count(hub: &TestHub, verb: Verb) -> usize {
    hub.driver.calls().iter().filter(|call| call.verb == verb).count()
}

/// Waits until the driver was asked for this.
async fn asked(hub: &TestHub, verb: Verb) {
    asked_times(hub, verb, 1).await;
}

async fn asked_times(hub: &TestHub, verb: Verb, times: usize) {
    let deadline = tokio::time::Instant::now() + reef_testkit::PATIENCE;
    while count(hub, verb) < times {
        assert!(tokio::time::Instant::now() < deadline, "never asked for {verb:?}");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

async fn job_settles(client: &Client, job: &Value, state: &str) -> Value {
    let path = format!("/api/jobs/{}", job["id"].as_str().expect("an id"));
    client.wait_for(&path, |answer| answer.json()["job"]["state"] == state).await.json()["job"].clone()
}

#[tokio::test]
async fn a_running_instance_is_not_touched() {
    for how in ENDS {
        let (hub, client) = TestHub::owned().await;
        let before = hub.create(&client, "scout").await;
        let (hub, client) = end(hub, how, client).await;
        let after = client.get("/api/instances/scout").await.json();
        assert_eq!(after["phase"], "running", "{how:?}: it is what was last seen");
        for field in ["id", "startedAt", "generation", "desired"] {
            assert_eq!(after[field], before[field], "{how:?}: {field}");
        }
        // The link stands again.
        client.wait_for("/api/instances/scout/sessions", |answer| answer.status == 200).await;
        assert_eq!((count(&hub, Verb::Start), count(&hub, Verb::Stop)), (1, 0), "{how:?}");
        assert_eq!(client.get("/api/instances/scout").await.json()["phase"], "running");
    }
}

#[tokio::test]
async fn a_stopped_instance_stays_stopped_and_a_failed_one_failed() {
    for how in ENDS {
        let (hub, client) = TestHub::owned().await;
        hub.create(&client, "stopped").await;
        assert_eq!(client.post("/api/instances/stopped/stop?wait=done", json!({})).await.status, 200);
        hub.driver.fail(Failure::Refuse { verb: Verb::Start, error: DriverError::new(Reason::Permission, "no") });
        client
            .post("/api/instances?wait=ready", json!({ "name": "failed" }))
            .await
            .assert_refused(500, "instance_failed");
        hub.driver.heal();
        let starts = count(&hub, Verb::Start);
        let (hub, client) = end(hub, how, client).await;
        hub.create(&client, "other").await;
        for name in ["stopped", "failed"] {
            assert_eq!(client.get(&format!("/api/instances/{name}")).await.json()["phase"], name, "{how:?}");
        }
        assert_eq!(count(&hub, Verb::Start), starts + 1, "{how:?}: only the other one was started");
    }
}

#[tokio::test]
async fn a_start_goes_on_from_every_step() {
    for how in ENDS {
        for step in ["installation", "prepare", "start", "door", "readiness"] {
            let (hub, client) = TestHub::owned().await;
            let hang = |verb| hub.driver.fail(Failure::Hang { verb });
            match step {
                "installation" => hub.versions.hold(true),
                "prepare" => hang(Verb::Prepare),
                "start" => hang(Verb::Start),
                "door" => hang(Verb::Door),
                _ => hub.agent.set_ready(false),
            }
            let made = client.post("/api/instances", json!({ "name": "scout" })).await;
            assert_eq!(made.status, 202, "{made:?}");
            match step {
                "installation" => drop(hub.wait_for_phase(&client, "scout", "preparing").await),
                "prepare" => asked(&hub, Verb::Prepare).await,
                "start" => asked(&hub, Verb::Start).await,
                "door" => asked(&hub, Verb::Door).await,
                _ => drop(hub.wait_for_phase(&client, "scout", "starting").await),
            }
            hub.driver.heal();
            let (hub, client) = end(hub, how, client).await;
            hub.versions.hold(false);
            hub.agent.set_ready(true);
            let job = job_settles(&client, &made.json()["job"], "done").await;
            assert_eq!(job["id"], made.json()["job"]["id"], "{how:?} {step}");
            let view = client.get("/api/instances/scout").await.json();
            assert_eq!((&view["phase"], &view["generation"]), (&json!("running"), &json!(1)), "{how:?} {step}");
            assert_eq!(count(&hub, Verb::Stop), 0, "{how:?} {step}: what was started is used");
        }
    }
}

#[tokio::test]
async fn a_process_whose_start_was_not_written_down_gets_its_time() {
    // The driver has started it, and the hub is cut off before it hears of it.
    let settings = reef_testkit::Settings { ready_limit: std::time::Duration::from_secs(3), ..Default::default() };
    let (hub, client) = TestHub::owned_with(settings).await;
    let view = hub.create(&client, "scout").await;
    assert_eq!(client.post("/api/instances/scout/stop?wait=done", json!({})).await.status, 200);
    hub.driver.fail(Failure::Hang { verb: Verb::Prepare });
    assert_eq!(client.post("/api/instances/scout/start", json!({})).await.status, 202);
    asked_times(&hub, Verb::Prepare, 2).await;
    hub.driver.heal();
    let workload = reef_driver::Workload {
        id: id_of(&view),
        name: "scout".parse().expect("a name"),
        generation: client.get("/api/instances/scout").await.json()["generation"].as_u64().expect("a number"),
        argv: vec!["/bin/true".to_owned()],
        env: Default::default(),
        cwd: "/".to_owned(),
        versions: Vec::new(),
        files: Vec::new(),
        secrets: Vec::new(),
        resources: Default::default(),
        egress: Default::default(),
        doors: vec![17_601],
    };
    use reef_driver::Driver;
    hub.agent.set_ready(false);
    hub.driver.start(&workload).await.expect("it starts");
    // Older than the time that a start may take.
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    let (hub, client) = end(hub, End::Cut, client).await;
    hub.wait_for_phase(&client, "scout", "starting").await;
    hub.agent.set_ready(true);
    hub.wait_for_phase(&client, "scout", "running").await;
}

#[tokio::test]
async fn a_stop_a_restart_and_a_removal_go_on() {
    for how in ENDS {
        for (method, path, verb, phase) in [
            ("POST", "/api/instances/scout/stop", Verb::Stop, Some("stopped")),
            ("POST", "/api/instances/scout/restart", Verb::Stop, Some("running")),
            ("DELETE", "/api/instances/scout", Verb::Destroy, None),
        ] {
            let (hub, client) = TestHub::owned().await;
            hub.create(&client, "scout").await;
            hub.driver.fail(Failure::Hang { verb });
            let answer = client.send(method.parse().expect("a method"), path, None).await;
            assert_eq!(answer.status, 202, "{answer:?}");
            asked(&hub, verb).await;
            hub.driver.heal();
            let (_hub, client) = end(hub, how, client).await;
            job_settles(&client, &answer.json()["job"], "done").await;
            let view = client.get("/api/instances/scout").await;
            match phase {
                Some(phase) => assert_eq!(view.json()["phase"], phase, "{how:?} {path}"),
                None => view.assert_refused(404, "instance_not_found"),
            }
        }
    }
}

#[tokio::test]
async fn an_installation_by_hand_ends_with_the_hub_and_says_so() {
    for how in ENDS {
        let (hub, client) = TestHub::owned().await;
        hub.versions.hold(true);
        let answer = client.post("/api/agents/fake/versions", json!({ "version": "1.0.0" })).await;
        assert_eq!(answer.status, 202);
        let (_hub, client) = end(hub, how, client).await;
        let job = job_settles(&client, &answer.json()["job"], "failed").await;
        assert_eq!(job["reason"], "interrupted", "{how:?}");
    }
}

/// Cut off again and again at no particular moment, while wishes come in: in the end the last wish is true.
#[tokio::test]
async fn cut_off_at_any_moment() {
    let (mut hub, mut client) = TestHub::owned().await;
    hub.create(&client, "scout").await;
    for round in 0_u64..24 {
        let (path, wanted) = match round % 3 {
            0 => ("/api/instances/scout/stop", "stopped"),
            1 => ("/api/instances/scout/start", "running"),
            _ => ("/api/instances/scout/restart", "running"),
        };
        let answer = client.post(path, json!({})).await;
        assert_eq!(answer.status, 202, "{answer:?}");
        // From at once to after the end, in steps that are not those of the work.
        tokio::time::sleep(std::time::Duration::from_micros(round * 777 % 9000)).await;
        (hub, client) = end(hub, End::Cut, client).await;
        hub.wait_for_phase(&client, "scout", wanted).await;
        job_settles(&client, &answer.json()["job"], "done").await;
        let running = {
            use reef_driver::{Driver, ProcessState};
            let seen = hub.driver.inventory().await.expect("a list");
            seen.iter().filter(|observed| matches!(observed.process, ProcessState::Running { .. })).count()
        };
        assert_eq!(running, usize::from(wanted == "running"), "round {round}");
    }
}
