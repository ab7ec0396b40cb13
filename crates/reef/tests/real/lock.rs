//! One hub for one data directory.

use std::process::{Command, Stdio};

use crate::reef::Reef;

/// The second one says which process is the first.
pub(crate) async fn a_second_hub_is_refused(reef: &Reef) {
    let second = reef.try_run(&["up", "--listen", "127.0.0.1:0"]).await;
    assert_eq!(second.code, 1, "{second:?}");
    let pid = reef.supervisor_pid().to_string();
    assert!(second.stderr.contains(&format!("process {pid}")), "{second:?}");

    // Not even when it is started past the supervisor.
    let hub = Command::new(env!("CARGO_BIN_EXE_reef"))
        .args(["__hub", "--listen", "127.0.0.1:0", "--data-dir"])
        .arg(reef.data_dir())
        .env_clear()
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&hub.stderr);
    assert!(!hub.status.success());
    assert!(said.contains(&format!("process {}", reef.pid("__hub"))), "{said}");
    assert_eq!(reef.view("alice").await["availability"], "ready");
}
