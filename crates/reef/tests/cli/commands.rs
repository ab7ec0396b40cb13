//! Reads, exit codes, secrets.

use serde_json::{Value, json};

use crate::hub::{Answer, Hub, end, failure, reef};

fn instance(name: &str, phase: &str) -> Value {
    json!({
        "id": "ins_0190f5c2a0007000800000000000abcd", "name": name, "displayName": null, "driver": "process",
        "agent": { "kind": "openclaw", "version": "2026.9.6" }, "phase": phase, "availability": "ready",
        "gateway": "ok", "desired": "running", "generation": 1, "observedGeneration": 1,
        "conditions": [{
            "type": "Started", "status": false, "reason": "out_of_memory", "message": "it ran out of\nmemory",
            "since": "2026-01-01T00:00:00Z",
        }],
        "createdAt": "2000-01-01T00:00:00Z", "startedAt": null, "endpoint": { "url": "/api/instances/x/proxy/" },
        "resources": {
            "requested": { "memoryBytes": 2_147_483_648_u64, "cpusMilli": 1500, "pids": 512 },
            "enforced": [{ "limit": "memory", "enforced": false, "reason": "no cgroup is writable" }],
        },
        "egress": "closed", "labels": {}, "model": null, "lastActivityAt": null, "nextCronAt": null,
        "usage": { "costMicros": 0, "inputTokens": 12, "outputTokens": 34 },
    })
}

fn list() -> Value {
    json!({ "updatedAt": "2026-01-01T00:00:00Z", "instances": [instance("scout", "failed"), instance("b", "running")] })
}

#[tokio::test]
async fn every_read_has_three_formats() {
    let hub = Hub::start(|_| Answer::Json(200, list())).await;
    let table = hub.reef(&["ls"]).await;
    let is_age = |word: &&str| word.strip_suffix('d').is_some_and(|days| days.parse::<u32>().is_ok());
    let days = table.stdout.split_whitespace().find(is_age).unwrap();
    let expect = "\
        NAME    PHASE     AGENT               MODEL     AGE     NOTE\n\
        scout   failed    openclaw 2026.9.6   default   DAYS   it ran out of memory\n\
        b       running   openclaw 2026.9.6   default   DAYS\n";
    assert_eq!(squeeze(&table.stdout), squeeze(&expect.replace("DAYS", days)));
    let json = hub.reef(&["ls", "-o", "json"]).await;
    assert_eq!(serde_json::from_str::<Value>(&json.stdout).unwrap(), list());
    let yaml = hub.reef(&["-o", "yaml", "ls"]).await;
    assert_eq!(serde_yaml_ng::from_str::<Value>(&yaml.stdout).unwrap(), list());
    for ended in [table, json, yaml] {
        assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    }
}

fn squeeze(text: &str) -> String {
    text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ") + "\n").collect()
}

#[tokio::test]
async fn show_tells_which_limits_hold() {
    let hub = Hub::start(|_| Answer::Json(200, instance("scout", "failed"))).await;
    let shown = squeeze(&hub.reef(&["show", "scout"]).await.stdout);
    for line in [
        "phase failed",
        "memory 2.0 GiB",
        "cpus 1.5",
        "tokens 12 in, 34 out",
        "Started no out_of_memory it ran out of memory",
        "memory no no cgroup is writable",
    ] {
        assert!(shown.lines().any(|seen| seen == line), "`{line}` is missing in\n{shown}");
    }
}

#[tokio::test]
async fn exit_codes_are_the_contracts() {
    for (status, code, exit) in [
        (404, "instance_not_found", 3),
        (401, "unauthenticated", 4),
        (403, "forbidden", 4),
        (422, "quota_exceeded", 4),
        (429, "rate_limited", 4),
        (409, "instance_busy", 1),
        (500, "internal", 1),
        (503, "store_unavailable", 5),
    ] {
        let hub = Hub::start(move |_| failure(status, code)).await;
        let ended = hub.reef(&["show", "scout"]).await;
        assert_eq!((ended.code, ended.stdout.as_str()), (exit, ""), "{code}");
        assert!(ended.stderr.starts_with(&format!("reef: the message of {code}\n")), "{}", ended.stderr);
    }
}

#[tokio::test]
async fn what_cannot_be_meant_is_never_sent() {
    let hub = Hub::start(|_| failure(500, "internal")).await;
    for args in [
        &["show", "../system"][..],
        &["show", "UPPER"],
        &["create", "-x"],
        &["create", "scout", "--memory", "lots"],
        &["create", "scout", "--cpus", "0"],
        &["create", "scout", "--label", "none"],
        &["create", "scout", "--egress", "some"],
        &["token", "rm", "ins_0190f5c2a0007000800000000000abcd"],
        &["nonsense"],
        &["setup", "--owner", "me"],
        &["agent", "remove", "openclaw"],
    ] {
        assert_eq!(hub.reef(args).await.code, 2, "{args:?}");
    }
    assert_eq!(hub.lines(), [""; 0]);
}

#[tokio::test]
async fn without_a_hub_the_user_is_told_how_to_start_one() {
    let dir = tempfile::tempdir().unwrap();
    for args in [&["ls"][..], &["doctor"], &["chat", "scout", "hello"]] {
        let ended = end(reef(args).env("REEF_DATA_DIR", dir.path()).spawn().unwrap()).await;
        assert_eq!((ended.code, ended.stdout.as_str()), (5, ""), "{args:?}");
        assert!(ended.stderr.contains("reef up"), "{}", ended.stderr);
    }
    let ended = end(reef(&["version"]).env("REEF_DATA_DIR", dir.path()).spawn().unwrap()).await;
    assert_eq!(ended.code, 0);
    assert!(ended.stdout.contains("not running"), "{}", ended.stdout);
}

#[tokio::test]
async fn doctor_fails_when_something_is_missing() {
    for (ok, code) in [(true, 0), (false, 1)] {
        let system = json!({
            "version": "1.0.0",
            "checks": [{ "name": "store", "ok": ok, "message": "the disk" }],
            "limits": [{ "limit": "pids", "enforced": false, "reason": "no cgroup" }],
        });
        let hub = Hub::start(move |_| Answer::Json(200, system.clone())).await;
        let ended = hub.reef(&["doctor"]).await;
        assert_eq!(ended.code, code);
        let shown = squeeze(&ended.stdout);
        assert!(shown.contains("pids no no cgroup\n"), "{shown}");
        assert_eq!(shown.contains("store ok the disk\n"), ok, "{shown}");
        assert_eq!(ended.stderr.contains("not in order: store"), !ok);
    }
}

#[tokio::test]
async fn secrets_come_from_stdin_and_are_not_shown() {
    let marker = "sk-planted-marker";
    let hub = Hub::start(|asked| match asked.path.as_str() {
        "/api/providers" => Answer::Json(201, json!({ "name": "acme" })),
        "/api/setup" => Answer::Json(201, json!({ "user": { "id": "usr_1", "name": "me" } })),
        _ => failure(404, "not_found"),
    })
    .await;
    let add = ["provider", "add", "acme", "--kind", "openai", "--base-url", "https://acme.test/v1", "--model", "m"];
    for args in [&add[..], &["setup", "--owner", "me", "--password-stdin"]] {
        let ended = hub.reef_with_input(args, &format!("{marker}\n")).await;
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        assert!(!ended.stdout.contains(marker) && !ended.stderr.contains(marker));
        assert_eq!(hub.reef_with_input(args, "\n").await.code, 2, "an empty secret is none");
    }
    let asked = hub.asked();
    assert_eq!(asked.len(), 2);
    assert_eq!(asked[0].body["apiKey"], marker);
    assert_eq!(asked[1].body, json!({ "name": "me", "password": marker }));
}

#[tokio::test]
async fn a_new_token_stands_alone_on_stdout() {
    let hub =
        Hub::start(|_| Answer::Json(201, json!({ "token": { "id": "tok_1", "name": "ci" }, "secret": "reef_abc" })))
            .await;
    let ended = hub.reef(&["token", "create", "ci", "--scope", "read", "--scope", "chat"]).await;
    assert_eq!((ended.code, ended.stdout.as_str()), (0, "reef_abc\n"));
    assert_eq!(hub.asked()[0].body, json!({ "name": "ci", "scopes": ["read", "chat"] }));
}

#[tokio::test]
async fn a_hub_elsewhere_gets_the_token_of_the_environment() {
    let hub = Hub::start(|_| Answer::Json(200, list())).await;
    let mut command = reef(&["ls", "-o", "json"]);
    let ended = end(command.env("REEF_URL", hub.url()).env("REEF_TOKEN", "reef_abc").spawn().unwrap()).await;
    assert_eq!(serde_json::from_str::<Value>(&ended.stdout).unwrap(), list(), "{}", ended.stderr);
    assert_eq!(hub.asked()[0].headers["authorization"], "Bearer reef_abc");
}

#[tokio::test]
async fn a_token_never_crosses_a_network_in_the_clear() {
    let mut command = reef(&["ls", "--url", "http://hub.example:7700"]);
    let ended = end(command.env("REEF_TOKEN", "reef_abc").spawn().unwrap()).await;
    assert_eq!(ended.code, 2);
    assert!(ended.stderr.contains("unencrypted") && !ended.stderr.contains("reef_abc"), "{}", ended.stderr);
}

#[tokio::test]
async fn logs_are_printed_as_they_were_written() {
    let hub = Hub::start(|_| {
        let line = |at: &str, text: &str| ("line", json!({ "at": at, "stream": "stdout", "text": text }));
        Answer::Events(vec![
            line("2026-01-01T00:00:00Z", "one"),
            ("ping", json!({})),
            line("2026-01-01T00:00:01Z", "two"),
            ("end", json!({})),
        ])
    })
    .await;
    assert_eq!(hub.reef(&["logs", "scout", "--tail", "2"]).await.stdout, "one\ntwo\n");
    assert_eq!(hub.lines(), ["GET /api/instances/scout/logs?tail=2&follow=false"]);
    let stamped = hub.reef(&["logs", "scout", "-t"]).await.stdout;
    assert_eq!(stamped, "2026-01-01T00:00:00Z one\n2026-01-01T00:00:01Z two\n");
    let json = hub.reef(&["logs", "scout", "-o", "json"]).await.stdout;
    assert_eq!(json.lines().count(), 2);
    assert_eq!(serde_json::from_str::<Value>(json.lines().next().unwrap()).unwrap()["text"], "one");
}

#[tokio::test]
async fn a_log_that_is_not_whole_is_no_success() {
    for (last, code, message) in [
        (("ping", json!({})), 5, "the hub went away"),
        (("error", json!({ "code": "internal", "message": "the disk is gone" })), 1, "the disk is gone"),
    ] {
        let line = ("line", json!({ "at": "2026-01-01T00:00:00Z", "stream": "stdout", "text": "one" }));
        let hub = Hub::start(move |_| Answer::Events(vec![line.clone(), last.clone()])).await;
        let ended = hub.reef(&["logs", "scout"]).await;
        assert_eq!((ended.code, ended.stdout.as_str()), (code, "one\n"));
        assert!(ended.stderr.contains(message), "{}", ended.stderr);
    }
}

#[tokio::test]
async fn open_prints_the_pages_address() {
    let hub = Hub::start(|asked| match asked.path.as_str() {
        "/api/system" => Answer::Json(200, json!({ "url": "http://127.0.0.1:7777/", "checks": [], "limits": [] })),
        _ => Answer::Json(200, instance("scout", "running")),
    })
    .await;
    assert_eq!(hub.reef(&["open", "scout"]).await.stdout, "http://127.0.0.1:7777/i/scout\n");
}

#[tokio::test]
async fn the_program_documents_itself() {
    for (args, marker) in [
        (&["completions", "bash"][..], "complete -F _reef"),
        (&["man"], ".TH reef 1"),
        (&["create", "--help"], "--memory <MEMORY>"),
    ] {
        let ended = end(reef(args).spawn().unwrap()).await;
        assert_eq!(ended.code, 0, "{args:?}: {}", ended.stderr);
        assert!(ended.stdout.contains(marker), "{args:?}");
    }
}
