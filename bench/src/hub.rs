//! The program as it is shipped: a hub of it, and its command line to tell that hub what to do.

use std::{
    io::Write,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use reef_types::InstanceId;
use serde_json::Value;

use crate::machine::Process;

/// The longest that anything is waited for.
const PATIENCE: Duration = Duration::from_secs(300);
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// The command line over one data directory.
#[derive(Debug, Clone)]
pub(crate) struct Reef {
    program: PathBuf,
    data_dir: PathBuf,
}

impl Reef {
    pub(crate) fn new(program: &Path, data_dir: &Path) -> Self {
        Self { program: program.to_owned(), data_dir: data_dir.to_owned() }
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("--data-dir").arg(&self.data_dir).args(args).env_remove("RUST_LOG");
        command
    }

    /// Runs a command to its end and returns what it printed.
    pub(crate) fn run(&self, args: &[&str], input: &str) -> Result<String> {
        let mut child =
            self.command(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        child.stdin.take().context("a child without stdin")?.write_all(input.as_bytes())?;
        let output = child.wait_with_output()?;
        if !output.status.success() {
            bail!("`reef {}` failed: {}", args.join(" "), String::from_utf8_lossy(&output.stderr));
        }
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Starts the hub alone; somebody else is the node.
    pub(crate) fn hub(&self) -> Result<(Process, SocketAddr)> {
        self.serve(&["__hub"])
    }

    /// Starts all of it.
    pub(crate) fn up(&self) -> Result<(Process, SocketAddr)> {
        self.serve(&["up", "--stop-instances-on-exit"])
    }

    fn serve(&self, args: &[&str]) -> Result<(Process, SocketAddr)> {
        // Free a moment ago. Who takes it meanwhile makes this fail, which is seen.
        let listen = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let mut command = self.command(args);
        command.args(["--listen", &listen.to_string()]).stdin(Stdio::null()).stdout(Stdio::null());
        let mut server = Process::spawn(&mut command)?;
        wait("the hub", || {
            server.check()?;
            Ok(self.run(&["ls"], "").is_ok().then_some(()))
        })?;
        Ok((server, listen))
    }

    /// Makes an owner, and a token for everything.
    pub(crate) fn token(&self) -> Result<String> {
        self.run(&["setup", "--owner", "bench", "--password-stdin"], "only for the bench, nobody else\n")?;
        Ok(self.run(&["token", "create", "bench"], "")?.trim().to_owned())
    }

    /// Makes instances and waits until all of them are ready.
    pub(crate) fn create(&self, names: &[String]) -> Result<Vec<InstanceId>> {
        for name in names {
            self.run(&["create", name, "--no-wait"], "")?;
        }
        wait("the instances", || {
            let list: Value = serde_json::from_str(&self.run(&["ls", "-o", "json"], "")?)?;
            let instances = list["instances"].as_array().context("no list of instances")?;
            let ready = instances.iter().filter(|view| view["phase"] == "running");
            let ids: Option<Vec<_>> = ready.map(|view| view["id"].as_str()?.parse().ok()).collect();
            Ok(ids.filter(|ids: &Vec<InstanceId>| ids.len() == names.len()))
        })
    }
}

/// Looks again and again until there is something.
pub(crate) fn wait<T>(what: &str, mut look: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        if Instant::now() > deadline {
            bail!("{what}: nothing for {} s", PATIENCE.as_secs());
        }
        rest(LOOK_EVERY);
    }
}

/// Lets time pass.
#[expect(clippy::disallowed_methods, reason = "there is no runtime here, and nothing that could be awaited")]
pub(crate) fn rest(time: Duration) {
    std::thread::sleep(time);
}
