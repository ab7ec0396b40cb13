//! Secrets are where they belong and nowhere else.

use std::{fs, os::unix::fs::FileExt, path::Path};

use reef_driver::{Driver, Reason};

use crate::fixture::{Fixture, is_root, secret};

const MARKER: &str = "s3cret-marker-0190f5c2";

#[tokio::test]
async fn they_are_files_of_the_agent_in_memory_and_in_no_other_place() {
    let mut fixture = Fixture::new();
    let mut workload = fixture.workload(
        "stat -c '%a %u' /run/reef/token; grep ' /run/reef ' /proc/mounts | grep -vc '^tmpfs'; cat /run/reef/token | wc -c; \
         cat /proc/*/environ /proc/*/cmdline 2>/dev/null | tr '\\0' '\\n' | grep -c 's3[c]ret'; \
         echo read; while [ -e /run/reef/token ]; do sleep 0.02; done; echo gone; exec sleep 1000",
    );
    workload.secrets = vec![secret("token", MARKER)];
    let id = fixture.start_workload(&workload).await;
    fixture.driver.put_secrets(id, &[secret("token", MARKER), secret("more", MARKER)]).await.unwrap();
    let err = fixture.driver.put_secrets(id, &[secret("a/b", MARKER)]).await.unwrap_err();
    assert_eq!(err.reason, Reason::Invalid);
    assert!(!err.message.contains(MARKER));

    // Nothing on disk, in an argument or an environment holds it, as far as this user can see.
    assert_eq!(files_with_marker(&fixture.root), Vec::<String>::new());
    for process in fs::read_dir("/proc").unwrap().flatten() {
        for file in ["cmdline", "environ"] {
            let text = fs::read(process.path().join(file)).unwrap_or_default();
            assert!(!contains_marker(&text), "{}", process.path().display());
        }
    }
    if is_root() {
        assert!(!memory_has_marker(&fixture, id), "the first process has the agent's identity");
    }
    fixture.line(id, "read").await;
    fixture.driver.put_secrets(id, &[]).await.unwrap();
    fixture.line(id, "gone").await;
    let text = fixture.text(id, "stdout").await;
    assert_eq!(text, format!("400 1000\n0\n{}\n0\nread\ngone", MARKER.len()));
    fixture.clean().await;
}

#[tokio::test]
async fn only_a_running_one_has_any() {
    let mut fixture = Fixture::new();
    let id = fixture.start("true").await;
    fixture.exit(id).await;
    assert_eq!(fixture.driver.put_secrets(id, &[]).await.unwrap_err().reason, Reason::NotFound);
    fixture.clean().await;
}

/// Whether the memory of the sandbox's first process holds the secret.
fn memory_has_marker(fixture: &Fixture, id: reef_types::InstanceId) -> bool {
    let record = fs::read(fixture.root.join(id.to_string()).join("run/shim.json")).unwrap();
    let pid = serde_json::from_slice::<reef_sandbox::RunRecord>(&record).unwrap().init.pid;
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let memory = fs::File::open(format!("/proc/{pid}/mem")).unwrap();
    let mut seen = 0;
    for line in maps.lines().filter(|line| line.contains(" rw")) {
        let (from, to) = line.split_whitespace().next().unwrap().split_once('-').unwrap();
        let [from, to] = [from, to].map(|text| u64::from_str_radix(text, 16).unwrap());
        let mut text = vec![0; usize::try_from(to - from).unwrap()];
        if memory.read_exact_at(&mut text, from).is_ok() {
            seen += 1;
            if contains_marker(&text) {
                return true;
            }
        }
    }
    assert!(seen > 0, "no memory could be read");
    false
}

fn files_with_marker(dir: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        match entry.file_type().unwrap() {
            kind if kind.is_dir() => found.extend(files_with_marker(&path)),
            kind if kind.is_file() && contains_marker(&fs::read(&path).unwrap_or_default()) => {
                found.push(path.display().to_string());
            }
            _ => {}
        }
    }
    found
}

fn contains_marker(text: &[u8]) -> bool {
    text.windows(MARKER.len()).any(|window| window == MARKER.as_bytes())
}
