//! The real secrets, looked for wherever they must not be.

use std::{fs, path::Path};

use crate::{
    reef::{PASSWORD, Reef},
    talk::inside,
    world,
};

/// The key for the model broker, inside.
const BROKER_KEY: &str = "run/reef/broker-key";

/// A secret, and who has it.
struct Secret {
    what: String,
    value: String,
}

pub(crate) async fn nowhere_else(reef: &Reef) {
    let secrets = collect(reef).await;
    files_of_the_hub(reef, &secrets);
    files_of_the_agents(reef, &secrets);
    processes(&secrets);
    answers(reef, &secrets).await;
    from_inside(reef, &secrets).await;
}

async fn collect(reef: &Reef) -> Vec<Secret> {
    let mut secrets = vec![
        Secret { what: "the owner's password".to_owned(), value: PASSWORD.to_owned() },
        Secret { what: "the API token".to_owned(), value: reef.api_token.clone() },
    ];
    for name in ["alice", "bob"] {
        let answer = reef.api.get(&format!("/api/instances/{name}/token")).await;
        assert_eq!((answer.status, answer.header("cache-control")), (200, "no-store"));
        let token = answer.json()["token"].as_str().unwrap().to_owned();
        let dir = reef.data_dir().join("node/instances").join(reef.view(name).await["id"].as_str().unwrap());
        let inside = format!("/proc/{}/root", world::gateway_of(&dir).expect("a gateway"));
        let key = fs::read_to_string(Path::new(&inside).join(BROKER_KEY)).unwrap();
        secrets.push(Secret { what: format!("{name}'s gateway token"), value: token });
        secrets.push(Secret { what: format!("{name}'s broker key"), value: key.trim().to_owned() });
    }
    for secret in &secrets {
        assert!(secret.value.len() >= 20, "{} is too short to be looked for", secret.what);
    }
    secrets
}

/// Database, its journal, sockets' folder, the log of both servers.
fn files_of_the_hub(reef: &Reef, secrets: &[Secret]) {
    let files = ["hub", "run", "logs"].map(|dir| world::files(&reef.data_dir().join(dir))).concat();
    assert!(files.iter().any(|file| file.ends_with("reef.db")), "{files:?}");
    for file in files {
        check(&file.display().to_string(), &fs::read(&file).unwrap_or_default(), secrets);
    }
    let log = reef.log();
    assert!(log.contains("ready after"), "{log}");
    check("the log", log.as_bytes(), secrets);
}

/// All that an instance keeps on disk: its log, its state, its workspace.
fn files_of_the_agents(reef: &Reef, secrets: &[Secret]) {
    for dir in world::instance_dirs(reef.data_dir()) {
        let files = world::files(&dir);
        assert!(files.iter().any(|file| file.ends_with("logs/agent.log")), "{files:?}");
        for file in files {
            check(&file.display().to_string(), &fs::read(&file).unwrap_or_default(), secrets);
        }
    }
}

fn processes(secrets: &[Secret]) {
    let own = std::process::id();
    for pid in world::pids().filter(|pid| *pid != own) {
        for file in ["cmdline", "environ"] {
            let path = format!("/proc/{pid}/{file}");
            check(&path, &fs::read(&path).unwrap_or_default(), secrets);
        }
    }
}

async fn answers(reef: &Reef, secrets: &[Secret]) {
    let paths =
        ["/api/instances", "/api/system", "/api/jobs", "/api/tokens", "/api/providers", "/api/agents", "/healthcheck"];
    for path in paths {
        let answer = reef.api.get(path).await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        check(path, &answer.body, secrets);
    }
    for name in ["alice", "bob"] {
        for command in [vec!["show", name], vec!["logs", name], vec!["show", name, "-o", "json"], vec!["doctor"]] {
            let ended = reef.try_run(&command).await;
            check(&command.join(" "), (ended.stdout + &ended.stderr).as_bytes(), secrets);
        }
    }
}

/// The agent's shell finds its own broker key in its file, and nothing else.
async fn from_inside(reef: &Reef, secrets: &[Secret]) {
    // Each line once: what the model repeats is cut off after a while.
    let script = "(cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' '\\n'; env) | sort -u | head -c 1500; \
                  echo; ls /run/reef";
    let said = inside(reef, "alice", script).await;
    assert_eq!(said.lines().last(), Some("broker-key"), "{said}");
    check("environments inside", said.as_bytes(), secrets);
}

#[track_caller]
fn check(place: &str, bytes: &[u8], secrets: &[Secret]) {
    // Whatever is not text stays apart from the secrets, which are.
    let text = String::from_utf8_lossy(bytes);
    for secret in secrets {
        assert!(!text.contains(&secret.value), "{} is in {place}", secret.what);
    }
}
