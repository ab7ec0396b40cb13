//! Commands that wait for a job.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::hub::{Answer, Asked, Hub, failure};

const JOB: &str = "job_0190f5c2a0007000800000000000abcd";

fn job(state: &str) -> Value {
    let failed = state == "failed";
    json!({
        "id": JOB, "kind": "instance_start", "state": state, "instanceId": null,
        "progress": { "step": "Downloading", "done": 1, "total": 2, "unit": "bytes" },
        "reason": failed.then_some("no_network"), "message": failed.then_some("the registry cannot be reached"),
        "createdAt": "2026-01-01T00:00:00Z", "updatedAt": "2026-01-01T00:00:01Z",
    })
}

fn accepted(asked: &Asked) -> Answer {
    match (asked.method.as_str(), asked.path.as_str()) {
        ("POST", _) => Answer::Json(202, json!({ "instance": { "name": "scout" }, "job": job("queued") })),
        ("DELETE", _) => Answer::Json(202, json!({ "job": job("queued") })),
        ("GET", "/api/instances/scout") => Answer::Json(200, json!({ "name": "scout", "phase": "running" })),
        _ => failure(404, "not_found"),
    }
}

/// A hub whose job ends like this.
async fn hub(end: &'static str) -> Hub {
    Hub::start(move |asked| match asked.line().as_str() {
        "GET /api/events" => {
            let mut other = job("failed");
            other["id"] = json!("job_0190f5c2a0007000800000000000ffff");
            Answer::Open(vec![
                ("hello", json!({ "version": "0" })),
                ("job", other),
                ("job", job("running")),
                ("job", job(end)),
            ])
        }
        _ => accepted(asked),
    })
    .await
}

#[tokio::test]
async fn create_waits_until_the_instance_is_ready() {
    let hub = hub("done").await;
    let args = ["create", "scout", "--memory", "1g", "--cpus", "0.5", "--egress", "open", "--label", "team=a=b"];
    let ended = hub.reef(&args).await;
    assert_eq!((ended.code, ended.stdout.as_str()), (0, "scout is ready: reef chat scout \"hello\"\n"));
    assert_eq!(ended.stderr, "", "progress is for terminals only");
    assert_eq!(
        hub.lines(),
        ["GET /api/events", "POST /api/instances", "GET /api/instances/scout"],
        "events are followed from before the job is made"
    );
    let sent = &hub.asked()[1];
    assert!(sent.headers.contains_key("idempotency-key"));
    assert_eq!(
        sent.body,
        json!({
            "name": "scout",
            "resources": { "memoryBytes": 1 << 30, "cpusMilli": 500 },
            "egress": "open",
            "labels": { "team": "a=b" },
        }),
        "what was not said is left to the hub"
    );
}

#[tokio::test]
async fn a_job_that_fails_says_why() {
    for args in [&["create", "scout"][..], &["start", "scout"], &["restart", "scout"], &["rm", "scout", "--yes"]] {
        let ended = hub("failed").await.reef(args).await;
        assert_eq!((ended.code, ended.stdout.as_str()), (1, ""), "{args:?}");
        assert!(ended.stderr.starts_with("reef: the registry cannot be reached\n"), "{args:?}: {}", ended.stderr);
    }
}

#[tokio::test]
async fn nothing_is_waited_for_when_asked_not_to() {
    for (args, expect) in [
        (&["create", "scout", "--no-wait"][..], "scout is being made: reef show scout\n"),
        (&["stop", "scout", "--no-wait"], "the hub is at it: reef show scout\n"),
        (&["rm", "scout", "--yes", "--no-wait"], "scout is being removed\n"),
    ] {
        let hub = hub("running").await;
        let ended = hub.reef(args).await;
        assert_eq!((ended.code, ended.stdout.as_str()), (0, expect), "{args:?}");
        assert_eq!(hub.lines().len(), 1, "{args:?}");
    }
}

#[tokio::test]
async fn an_event_missed_in_a_restart_is_made_up_for() {
    let opened = AtomicUsize::new(0);
    let path = format!("GET /api/jobs/{JOB}");
    let hub = Hub::start(move |asked| match asked.line() {
        line if line == "GET /api/events" && opened.fetch_add(1, Ordering::SeqCst) == 0 => {
            Answer::Events(vec![("job", job("running"))])
        }
        line if line == "GET /api/events" => Answer::Open(vec![]),
        line if line == path => Answer::Json(200, json!({ "job": job("done") })),
        _ => accepted(asked),
    })
    .await;
    let ended = hub.reef(&["start", "scout"]).await;
    assert_eq!((ended.code, ended.stdout.as_str()), (0, "scout is ready\n"), "{}", ended.stderr);
}

#[tokio::test]
async fn nothing_to_do_is_done() {
    let hub = Hub::start(|asked| match asked.line().as_str() {
        "GET /api/events" => Answer::Open(vec![]),
        "POST /api/instances/scout/stop" => Answer::Json(200, json!({ "instance": { "name": "scout" } })),
        _ => accepted(asked),
    })
    .await;
    let ended = hub.reef(&["stop", "scout"]).await;
    assert_eq!((ended.code, ended.stdout.as_str()), (0, "scout is stopped\n"));
}

#[tokio::test]
async fn data_is_removed_unless_it_is_to_be_kept() {
    for (args, line) in [
        (&["rm", "scout", "--yes"][..], "DELETE /api/instances/scout?data=delete"),
        (&["rm", "scout", "--yes", "--keep-data"], "DELETE /api/instances/scout?data=keep"),
    ] {
        let hub = hub("done").await;
        let ended = hub.reef(args).await;
        assert_eq!((ended.code, ended.stdout.as_str()), (0, "scout is gone\n"));
        assert!(hub.lines().iter().any(|seen| seen == line), "{:?}", hub.lines());
    }
}

#[tokio::test]
async fn a_script_is_never_asked_and_removes_nothing_by_accident() {
    let hub = hub("done").await;
    let ended = hub.reef(&["rm", "scout"]).await;
    assert_eq!(ended.code, 2);
    assert!(ended.stderr.contains("--yes"), "{}", ended.stderr);
    assert_eq!(hub.lines(), [""; 0]);
}

#[tokio::test]
async fn the_default_version_is_the_hubs() {
    let hub = Hub::start(|asked| match asked.line().as_str() {
        "GET /api/events" => Answer::Open(vec![("job", job("done"))]),
        "GET /api/agents" => Answer::Json(
            200,
            json!({ "kinds": [{ "kind": "openclaw", "defaultVersion": "1.2.3", "testedVersions": ["1.2.3"], "installed": [] }] }),
        ),
        _ => accepted(asked),
    })
    .await;
    let ended = hub.reef(&["agent", "install", "openclaw"]).await;
    assert_eq!((ended.code, ended.stdout.as_str()), (0, "openclaw 1.2.3 is installed\n"), "{}", ended.stderr);
    let sent = hub.asked().into_iter().find(|asked| asked.line() == "POST /api/agents/openclaw/versions").unwrap();
    assert_eq!(sent.body, json!({ "version": "1.2.3" }));
    assert_eq!(hub.reef(&["agent", "install", "other"]).await.code, 2);
}
