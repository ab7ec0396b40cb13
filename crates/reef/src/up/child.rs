//! A server that is kept running.

use std::{io, path::PathBuf, process::ExitStatus, time::Duration};

use anyhow::Context;
use tokio::{
    process::{self, Command},
    time::{Instant, timeout},
};

use crate::{hub::HubArgs, paths::Paths};

/// Waits before a dead server is started again: doubled each time, from this …
const RETRY_MIN: Duration = Duration::from_millis(500);
/// … up to this.
const RETRY_MAX: Duration = Duration::from_secs(30);
/// A server that ran this long has earned a quick restart.
const STABLE: Duration = Duration::from_secs(60);
/// A server that ends by itself so early, with a code of its own, has refused to start.
const REFUSED: Duration = Duration::from_secs(30);
/// Longer than the hub's drain limit: after this it is killed.
const STOP_LIMIT: Duration = Duration::from_secs(60);

/// How a server ended.
#[derive(Debug, Clone, Copy)]
pub(super) enum Ended {
    /// It said no: there is no use in trying again.
    Refused(i32),
    Died,
}

/// One server of this machine.
pub(super) struct Child {
    name: &'static str,
    args: Vec<std::ffi::OsString>,
    process: Option<process::Child>,
    started: Instant,
    wait: Duration,
}

impl Child {
    pub(super) fn node(paths: &Paths) -> Self {
        Self::new("node", vec!["__node".into(), "--data-dir".into(), paths.root.clone().into()])
    }

    pub(super) fn hub(paths: &Paths, args: &HubArgs) -> Self {
        let mut argv = vec!["__hub".into(), "--data-dir".into(), paths.root.clone().into()];
        argv.extend(["--listen".into(), args.listen.to_string().into()]);
        if args.stop_instances_on_exit {
            argv.push("--stop-instances-on-exit".into());
        }
        Self::new("hub", argv)
    }

    fn new(name: &'static str, args: Vec<std::ffi::OsString>) -> Self {
        Self { name, args, process: None, started: Instant::now(), wait: RETRY_MIN }
    }

    pub(super) fn start(&mut self) -> anyhow::Result<()> {
        // Not the path of the program: an upgrade may have put another one there.
        let program = PathBuf::from("/proc/self/exe");
        let process = Command::new(program)
            .args(&self.args)
            .args(["--supervisor", &std::process::id().to_string()])
            .stdin(std::process::Stdio::null())
            // Ctrl-C in a terminal goes to the whole group: the servers shall hear of it from here, in the right order.
            .process_group(0)
            .spawn()
            .with_context(|| format!("the {} cannot be started", self.name))?;
        self.process = Some(process);
        self.started = Instant::now();
        Ok(())
    }

    /// Waits for the server's end.
    pub(super) async fn ended(&mut self) -> Ended {
        let Some(process) = &mut self.process else { return std::future::pending().await };
        let status = process.wait().await;
        self.process = None;
        classify(status, self.started.elapsed())
    }

    /// Starts it again after a wait that grows while it keeps dying.
    pub(super) async fn again(&mut self, ended: Ended) -> anyhow::Result<()> {
        self.wait = if self.started.elapsed() > STABLE { RETRY_MIN } else { (self.wait * 2).min(RETRY_MAX) };
        eprintln_line(&format!(
            "the {} ended ({ended:?}) and is started again in {} ms",
            self.name,
            self.wait.as_millis()
        ));
        tokio::time::sleep(self.wait).await;
        self.start()
    }

    /// SIGTERM, and SIGKILL when that does not help.
    pub(super) async fn stop(&mut self) {
        let Some(mut process) = self.process.take() else { return };
        let pid = process.id().and_then(|pid| rustix::process::Pid::from_raw(pid as i32));
        if let Some(pid) = pid {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        if timeout(STOP_LIMIT, process.wait()).await.is_err() {
            let _ = process.kill().await;
        }
    }
}

fn classify(status: io::Result<ExitStatus>, ran: Duration) -> Ended {
    match status.ok().and_then(|status| status.code()) {
        Some(code) if ran < REFUSED => Ended::Refused(code),
        _ => Ended::Died,
    }
}

#[expect(clippy::print_stderr, reason = "the supervisor has no logger of its own")]
fn eprintln_line(text: &str) {
    eprintln!("reef: {text}");
}
