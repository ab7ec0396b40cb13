//! `reef up -d` and `reef down`.

use std::{
    fs::{File, OpenOptions},
    io::Read,
    net::SocketAddr,
    os::unix::fs::OpenOptionsExt,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};

use rustix::fs::OFlags;

use super::UpArgs;
use crate::paths::{Paths, UP_LOCK};

/// How long the hub may take to come up.
const START_LIMIT: Duration = Duration::from_secs(30);
/// How long it may take to go: its drain and the node's.
const STOP_LIMIT: Duration = Duration::from_secs(90);
/// The longest address with its port is an IPv6 one with a scope.
const ADDRESS_BYTES_MAX: u64 = 64;
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Starts another `reef up` without a terminal, and waits until its hub answers.
pub(super) fn start(paths: &Paths, args: &UpArgs) -> anyhow::Result<()> {
    // A leftover of an earlier hub must not be taken for the new one's.
    let _ = std::fs::remove_file(paths.address());
    let log_path = paths.logs.join("reef.log");
    let log = OpenOptions::new().create(true).append(true).mode(0o600).open(&log_path)?;
    let mut command = Command::new("/proc/self/exe");
    command.args(["up", "--background", "--data-dir"]).arg(&paths.root);
    command.args(["--listen", &args.hub.listen.to_string()]);
    if args.hub.stop_instances_on_exit {
        command.arg("--stop-instances-on-exit");
    }
    let mut child = command
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .context("the background process cannot be started")?;
    let deadline = Instant::now() + START_LIMIT;
    while !paths.address().exists() || std::os::unix::net::UnixStream::connect(paths.hub_socket()).is_err() {
        if let Some(status) = child.try_wait()? {
            bail!("it ended at once ({status}); see {}", log_path.display());
        }
        if Instant::now() > deadline {
            bail!("the hub did not come up; see {}", log_path.display());
        }
        pause();
    }
    let listen = address(paths).unwrap_or(args.hub.listen);
    say(&format!("Reef runs in the background at http://{listen}; its log is {}", log_path.display()));
    if args.open {
        open_page(listen);
    }
    Ok(())
}

/// What the hub wrote down. The folder is the hub's, so that nothing but a short, plain file is read.
fn address(paths: &Paths) -> Option<SocketAddr> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits() as i32;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(paths.address()).ok()?;
    let mut text = String::new();
    file.take(ADDRESS_BYTES_MAX).read_to_string(&mut text).ok()?;
    text.parse().ok()
}

/// Stops the `reef up` of this data directory and waits until it is gone.
pub(crate) fn down(data_dir: &Path) -> anyhow::Result<()> {
    let path = data_dir.join(UP_LOCK);
    let Ok(mut file) = File::open(&path) else { bail!("Reef does not run for {}", data_dir.display()) };
    if file.try_lock_shared().is_ok() {
        bail!("Reef does not run for {}", data_dir.display());
    }
    let mut pid = String::new();
    Read::by_ref(&mut file).take(20).read_to_string(&mut pid)?;
    let pid = pid.trim().parse().ok().and_then(rustix::process::Pid::from_raw).context("the lock names no process")?;
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).context("the process cannot be told to stop")?;
    let deadline = Instant::now() + STOP_LIMIT;
    while file.try_lock_shared().is_err() {
        if Instant::now() > deadline {
            bail!("process {} is still there after {} s", pid.as_raw_nonzero(), STOP_LIMIT.as_secs());
        }
        pause();
    }
    say("Reef has stopped; instances go on running");
    Ok(())
}

/// Opens the page in the person's browser, where there is one.
pub(super) fn open_page(listen: SocketAddr) {
    let opener = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let _ = Command::new(opener).arg(format!("http://{listen}")).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
}

#[expect(clippy::disallowed_methods, reason = "a command line program without a runtime")]
fn pause() {
    std::thread::sleep(LOOK_EVERY);
}

#[expect(clippy::print_stdout, reason = "the answer of a command")]
fn say(text: &str) {
    println!("{text}");
}
