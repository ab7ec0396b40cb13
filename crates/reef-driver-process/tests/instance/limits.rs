//! Limits hold, or are reported as not holding, with the reason.

use reef_driver::Driver;
use reef_types::{Enforcement, InstanceId};

use crate::fixture::{Fixture, is_root};

async fn enforced(fixture: &Fixture, id: InstanceId, limit: &str) -> bool {
    let observed = fixture.driver.observe(id).await.unwrap();
    let found = observed.enforced.iter().find(|e| e.limit == limit);
    let Enforcement { enforced, reason, .. } = found.unwrap_or_else(|| panic!("nothing is said about {limit}"));
    assert!(!reason.is_empty());
    if !enforced {
        eprintln!("the limit {limit} is not enforced on this host: {reason}");
    }
    *enforced
}

#[tokio::test]
async fn the_fingerprint_says_what_an_instance_then_gets() {
    let mut fixture = Fixture::new();
    let fingerprint = fixture.driver.fingerprint().await.unwrap();
    assert!(fingerprint.usable, "{}", fingerprint.message);
    assert!(fingerprint.capabilities.doors);
    let mut names: Vec<_> = fingerprint.capabilities.limits.iter().map(|e| e.limit.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["cpu", "disk", "filesystem", "identity", "memory", "network", "pids", "syscalls"]);
    let id = fixture.start("exec sleep 1000").await;
    let observed = fixture.driver.observe(id).await.unwrap();
    let flags = |limits: &[Enforcement]| {
        let mut flags: Vec<_> = limits.iter().map(|e| (e.limit.clone(), e.enforced)).collect();
        flags.sort();
        flags
    };
    assert_eq!(flags(&observed.enforced), flags(&fingerprint.capabilities.limits));
    for limit in ["filesystem", "network", "syscalls", "identity"] {
        assert!(enforced(&fixture, id, limit).await, "{limit} is a condition of starting");
    }
    assert!(!enforced(&fixture, id, "disk").await, "there is no quota");
    assert_eq!(observed.usage.is_some(), enforced(&fixture, id, "memory").await);
    fixture.clean().await;
}

#[tokio::test]
async fn a_host_that_cannot_is_told_so_with_the_reason() {
    let fixture = Fixture::new();
    let driver = reef_driver_process::ProcessDriver::new(reef_driver_process::ProcessConfig {
        root: fixture.root.clone(),
        versions: fixture.versions(),
        shim: reef_driver_process::ShimCommand { program: "/bin/false".into(), args: Vec::new() },
    });
    let fingerprint = driver.fingerprint().await.unwrap();
    assert!(!fingerprint.usable && !fingerprint.message.is_empty());
    assert!(fingerprint.capabilities.limits.iter().all(|e| !e.enforced && !e.reason.is_empty()));
}

#[tokio::test]
async fn too_much_memory_is_the_end_and_is_called_by_its_name() {
    let mut fixture = Fixture::new();
    let id = fixture
        .start(
            "exec perl -e '$x = \"x\" x (1 << 20) for 1; push @a, \"x\" x (1 << 20) for 1..400; print \"survived\\n\"'",
        )
        .await;
    let holds = enforced(&fixture, id, "memory").await;
    let exit = fixture.exit(id).await;
    if holds {
        assert!(exit.out_of_memory, "{exit:?}");
        assert_eq!(exit.describe(), "it was killed because it used up its memory limit");
    } else {
        assert_eq!(fixture.text(id, "stdout").await, "survived");
    }
    // A kill that has nothing to do with memory is not taken for it.
    let id = fixture.start("kill -9 $$").await;
    let exit = fixture.exit(id).await;
    assert_eq!((exit.signal, exit.out_of_memory), (Some(9), false));
    fixture.clean().await;
}

#[tokio::test]
async fn a_fork_bomb_stays_small() {
    let mut fixture = Fixture::new();
    let id =
        fixture.start("i=0; while [ $i -lt 120 ]; do sleep 1000 & i=$((i+1)); done; echo $i; exec sleep 1000").await;
    if enforced(&fixture, id, "pids").await {
        let exit = fixture.exit(id).await;
        assert_ne!(exit.code, Some(0), "{exit:?}");
        assert!(fixture.text(id, "stderr").await.contains("fork"), "the shell says that it cannot fork");
    } else {
        fixture.line(id, "120").await;
    }
    fixture.clean().await;
}

#[tokio::test]
async fn node_sizes_its_heap_by_the_limit() {
    let mut fixture = Fixture::new();
    let mut workload = fixture.workload("");
    let script = "console.log(Math.round(v8.getHeapStatistics().heap_size_limit / 1048576))";
    workload.argv = ["/usr/bin/node", "-e", script].map(str::to_owned).to_vec();
    workload.resources.memory_bytes = 512 << 20;
    let id = fixture.start_workload(&workload).await;
    // Where the host has no cgroup for it, node has no reason to look.
    if enforced(&fixture, id, "memory").await {
        fixture.exit(id).await;
        let megabytes: u64 = fixture.text(id, "stdout").await.parse().unwrap();
        assert!(megabytes <= 512, "{megabytes}");
    }
    fixture.clean().await;
}

/// Memory that no end of a process gives back must be bounded by itself, also where there is no cgroup.
#[tokio::test]
async fn files_in_memory_are_bounded_by_size_and_number() {
    let mut fixture = Fixture::new();
    let text = fixture.output("for dir in /tmp /dev/shm /run/reef; do stat -fc '%n %b %S %c' $dir; done").await;
    for line in text.lines() {
        let fields: Vec<&str> = line.split(' ').collect();
        let number = |at: usize| fields[at].parse::<u64>().unwrap();
        assert!(number(1) * number(2) <= 1 << 30 && number(3) <= 1 << 18, "{line}");
    }
    assert_eq!(text.lines().count(), 3);
}

#[tokio::test]
async fn cgroups_go_with_their_instances() {
    let mut fixture = Fixture::new();
    let id = fixture.start("exec sleep 1000").await;
    if is_root() {
        assert_ne!(leftovers(id), Vec::<String>::new(), "root can make cgroups wherever they are mounted");
    }
    fixture.driver.stop(id, 0).await.unwrap();
    assert_eq!(leftovers(id), Vec::<String>::new());
    // Also when the shim could not clear up.
    let id = fixture.start("exec sleep 1000").await;
    let text = std::fs::read(fixture.root.join(id.to_string()).join("run/shim.json")).unwrap();
    serde_json::from_slice::<reef_sandbox::RunRecord>(&text).unwrap().shim.kill().unwrap();
    fixture.exit(id).await;
    fixture.clean().await;
    assert_eq!(leftovers(id), Vec::<String>::new());
}

fn leftovers(id: InstanceId) -> Vec<String> {
    use reef_sandbox::cgroup::{Cgroup, Hierarchies};
    let found = Cgroup::locate(&Hierarchies::of_this_process(), &id.to_string());
    if found == Cgroup::default() { Vec::new() } else { vec![format!("{found:?}")] }
}
