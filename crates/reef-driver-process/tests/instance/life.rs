//! Starting, ending, and being found again, whoever dies in between.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use reef_driver::{DataPolicy, Driver, DriverEvent, ProcessState, Reason, WorkloadFile};
use reef_sandbox::RunRecord;
use reef_types::InstanceId;

use crate::fixture::{Fixture, PATIENCE, exit_of, is_root, shim};

fn record(fixture: &Fixture, id: InstanceId) -> RunRecord {
    serde_json::from_slice(&fs::read(fixture.root.join(id.to_string()).join("run/shim.json")).unwrap()).unwrap()
}

/// Every process inside a sandbox: its first one and all below it. Orphans are children of the first one again.
fn inside(record: &RunRecord) -> Vec<u32> {
    let parent = |pid: u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse::<u32>().ok()
    };
    let pids = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let is_inside = |pid: &u32| {
        std::iter::successors(Some(*pid), |pid| parent(*pid))
            .take_while(|pid| *pid > 1)
            .any(|pid| pid == record.init.pid)
    };
    pids.filter(is_inside).collect()
}

async fn gone(pids: &[u32]) {
    let all_gone = async {
        while pids.iter().any(|pid| Path::new(&format!("/proc/{pid}/ns")).exists() && !is_zombie(*pid)) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, all_gone).await.expect("processes are left");
}

fn is_zombie(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| stat.contains(") Z "))
}

#[tokio::test]
async fn a_program_runs_and_ends_with_its_status() {
    let mut fixture = Fixture::new();
    let id = fixture.start("id -u; hostname; pwd; exit 3").await;
    let exit = fixture.exit(id).await;
    assert_eq!((exit.code, exit.signal, exit.out_of_memory), (Some(3), None, false));
    assert_eq!(fixture.text(id, "stdout").await, "1000\nscout\n/home/agent");
    assert_eq!(fixture.text(id, "reef").await, "the program exited with code 3");
    let observed = fixture.driver.observe(id).await.unwrap();
    assert_eq!(observed.generation, 7);
    assert!(matches!(observed.process, ProcessState::Exited { .. }));
    fixture.clean().await;
}

#[tokio::test]
async fn a_signal_is_told_from_a_status() {
    let mut fixture = Fixture::new();
    let id = fixture.start("kill -USR1 $$").await;
    let exit = fixture.exit(id).await;
    assert_eq!((exit.code, exit.signal), (None, Some(libc_sigusr1())));
    fixture.clean().await;
}

fn libc_sigusr1() -> i32 {
    rustix::process::Signal::USR1.as_raw()
}

#[tokio::test]
async fn orphans_are_buried_and_end_with_the_program() {
    let mut fixture = Fixture::new();
    let script = "(sleep 0.05 &) ; (setsid sleep 1000 &) ; sleep 0.3; grep -l '^State:.Z' /proc/[0-9]*/status; echo done; exec sleep 1000";
    let id = fixture.start(script).await;
    fixture.line(id, "done").await;
    assert_eq!(fixture.text(id, "stdout").await, "done", "no zombie is left");
    let pids = inside(&record(&fixture, id));
    assert_eq!(pids.len(), 3, "the first process, the program, and what it left behind");
    fixture.driver.stop(id, 1000).await.unwrap();
    gone(&pids).await;
    fixture.clean().await;
}

#[tokio::test]
async fn killing_the_shim_kills_everything_inside_and_nothing_else() {
    let mut fixture = Fixture::new();
    let bystander = fixture.start("exec sleep 1000").await;
    let mut workload = fixture.workload("echo kept > /reef/state/file; sleep 1000 & setsid sleep 1000 & echo up; wait");
    workload.files = vec![WorkloadFile { path: "/home/agent/x".into(), content: "x".into(), overwrite: true }];
    let id = fixture.start_workload(&workload).await;
    fixture.line(id, "up").await;
    let record = record(&fixture, id);
    let pids = inside(&record);
    assert!(pids.len() >= 4, "{pids:?}");

    record.shim.kill().unwrap();
    gone(&pids).await;
    let exit = fixture.exit(id).await;
    assert_eq!((exit.code, exit.signal, exit.setup_error), (None, None, None), "nobody saw how it ended");
    assert!(matches!(fixture.driver.observe(bystander).await.unwrap().process, ProcessState::Running { .. }));
    let state = fixture.root.join(id.to_string()).join("state/file");
    assert_eq!(fs::read_to_string(state).unwrap(), "kept\n");
    // And it can be started again.
    fixture.driver.start(&workload).await.unwrap();
    fixture.clean().await;
}

#[tokio::test]
async fn a_killed_node_leaves_it_running_and_the_next_one_finds_it() {
    let mut fixture = Fixture::new();
    let workload = fixture.workload("trap 'echo bye; exit 5' TERM; echo up; while :; do sleep 0.1; done");
    let mut node = Command::new(shim().program)
        .args([std::ffi::OsStr::new("node"), fixture.root.as_os_str()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    node.stdin.take().unwrap().write_all(&serde_json::to_vec(&workload).unwrap()).unwrap();
    let mut line = String::new();
    BufReader::new(node.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "started\n");
    node.kill().unwrap();
    node.wait().unwrap();

    fixture.line(workload.id, "up").await;
    let found = fixture.driver.inventory().await.unwrap();
    assert!(matches!(found[0].process, ProcessState::Running { .. }), "{found:?}");
    assert_eq!(fixture.driver.start(&workload).await.unwrap().process, found[0].process, "it is not started twice");
    let mut events = fixture.driver.events();
    fixture.driver.stop(workload.id, 10_000).await.unwrap();
    let event = tokio::time::timeout(PATIENCE, futures_util::StreamExt::next(&mut events)).await.unwrap();
    assert_eq!(event, Some(DriverEvent::Changed { id: workload.id }), "its end is seen by the new node");
    assert_eq!(exit_of(&fixture.driver, workload.id).await.code, Some(5));
    fixture.clean().await;
}

#[tokio::test]
async fn two_nodes_never_start_the_same_instance_twice() {
    let mut fixture = Fixture::new();
    let workload = fixture.workload("exec sleep 1000");
    let other = fixture.restarted();
    fixture.driver.prepare(&workload).await.unwrap();
    let (one, two) = tokio::join!(fixture.driver.start(&workload), other.start(&workload));
    // The slower one may be told so while the faster one is not done yet.
    let refused =
        |result: &Result<_, reef_driver::DriverError>| result.as_ref().is_err_and(|e| e.reason == Reason::Conflict);
    for result in [&one, &two] {
        assert!(result.is_ok() || refused(result), "{result:?}");
    }
    assert!(one.is_ok() || two.is_ok());
    assert!(matches!(other.observe(workload.id).await.unwrap().process, ProcessState::Running { .. }));
    assert_eq!(inside(&record(&fixture, workload.id)).len(), 2, "one first process and one program");
    fixture.clean().await;
}

#[tokio::test]
async fn a_failed_start_names_its_step_and_leaves_nothing() {
    let mut fixture = Fixture::new();
    let base = fixture.workload("true");
    let cases = [
        ("execute the program", {
            let mut workload = base.clone();
            workload.argv = vec!["/no/such/program".into()];
            workload
        }),
        ("execute the program", {
            let mut workload = base.clone();
            workload.cwd = "/no/such/folder".into();
            workload
        }),
        ("listen at a door", {
            let mut workload = base.clone();
            workload.doors = vec![4000, 4000];
            workload
        }),
        ("put the secrets in place", {
            let mut workload = base.clone();
            workload.secrets = vec![crate::fixture::secret("../escape", "x")];
            workload
        }),
    ];
    for (step, workload) in cases {
        fixture.driver.prepare(&workload).await.unwrap();
        let err = fixture.driver.start(&workload).await.unwrap_err();
        assert!(err.message.contains(step), "{err}");
        let exit = fixture.exit(workload.id).await;
        assert!(exit.setup_error.as_ref().is_some_and(|text| text.contains(step)), "{exit:?}");
        assert!(fixture.text(workload.id, "reef").await.contains(step));
        assert!(!fixture.root.join(workload.id.to_string()).join("run/door.sock").exists());
    }
    // The same instance starts once its workload is right.
    fixture.driver.start(&base).await.unwrap();
    assert_eq!(fixture.exit(base.id).await.code, Some(0));
    fixture.clean().await;
}

#[tokio::test]
async fn a_missing_version_is_told_apart() {
    let mut fixture = Fixture::new();
    let mut workload = fixture.workload("cat /reef/versions/tool/1.2/hello; touch /reef/versions/tool/1.2/x");
    workload.versions = vec![("tool".into(), "1.2".into())];
    fixture.driver.prepare(&workload).await.unwrap();
    assert_eq!(fixture.driver.start(&workload).await.unwrap_err().reason, Reason::VersionMissing);
    let version = fixture.versions().join("tool/1.2");
    fs::create_dir_all(&version).unwrap();
    fs::write(version.join("hello"), "hello").unwrap();
    fixture.driver.start(&workload).await.unwrap();
    assert_eq!(fixture.exit(workload.id).await.code, Some(1), "the store is read-only");
    assert_eq!(fixture.text(workload.id, "stdout").await, "hello");
    assert!(!version.join("x").exists());
    workload.versions = vec![("..".into(), "1.2".into())];
    assert_eq!(fixture.driver.start(&workload).await.unwrap_err().reason, Reason::Invalid);
    fixture.clean().await;
}

#[tokio::test]
async fn a_failed_preparation_of_a_new_one_leaves_nothing() {
    let mut fixture = Fixture::new();
    let mut workload = fixture.workload("true");
    workload.files = vec![WorkloadFile { path: "/etc/passwd".into(), content: String::new(), overwrite: true }];
    assert_eq!(fixture.driver.prepare(&workload).await.unwrap_err().reason, Reason::Invalid);
    assert!(!fixture.root.join(workload.id.to_string()).exists());
}

#[tokio::test]
async fn what_is_removed_and_what_is_kept_is_said_and_true() {
    let mut fixture = Fixture::new();
    // Whatever the agent leaves behind, it can be removed.
    let script =
        "mkdir -p shut/in; touch shut/in/x; chmod 0 shut/in shut; ln -s /etc/passwd link; mkfifo fifo; exec sleep 1000";
    let id = fixture.start(script).await;
    let path = fixture.root.join(id.to_string());
    let kept = fixture.driver.destroy(id, DataPolicy::Keep).await.unwrap();
    assert_eq!((kept.removed, kept.kept), (vec!["run".to_owned()], vec_of(["state", "workspace", "home", "logs"])));
    assert!(path.join("home").exists() && !path.join("run").exists());
    let deleted = fixture.driver.destroy(id, DataPolicy::Delete).await.unwrap();
    assert_eq!((deleted.removed, deleted.kept), (vec_of(["state", "workspace", "home", "logs"]), vec![]));
    assert!(!path.exists());
    assert!(Path::new("/etc/passwd").exists());
}

fn vec_of<const N: usize>(names: [&str; N]) -> Vec<String> {
    names.map(str::to_owned).to_vec()
}

/// All of these tests once more, as somebody without any rights.
#[test]
fn an_ordinary_user_can_do_all_this_too() {
    if !is_root() {
        // Then it is what every other test here has just shown.
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    let output = Command::new("setpriv")
        .args(["--reuid", "65534", "--regid", "65534", "--clear-groups"])
        .arg(std::env::current_exe().unwrap())
        .env("TMPDIR", dir.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
