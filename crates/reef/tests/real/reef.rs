//! The program under test: a data directory of its own, the supervisor in the foreground, and commands against it.

use std::{
    env, fs,
    net::{SocketAddr, TcpListener},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Output, Stdio},
    time::Duration,
};

use reef_testkit::Client;
use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    process::{Child, Command},
    time::{Instant, sleep, timeout},
};

use crate::world;

/// No command and no state may be waited for any longer; two agents that start on a busy machine take a minute.
pub(crate) const PATIENCE: Duration = Duration::from_secs(240);
/// Between two looks at a state that nothing tells of.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// The owner's password; looked for wherever secrets must not be.
pub(crate) const PASSWORD: &str = "marker-password-5d1c90";

/// A hub and a node under their supervisor. Dropped, everything that belongs to them is killed.
pub(crate) struct Reef {
    home: TempDir,
    addr: SocketAddr,
    up: Child,
    /// The API as a program elsewhere uses it, by TCP and with a token.
    pub(crate) api: Client,
    /// The secret of that token.
    pub(crate) api_token: String,
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Reef {
    /// Starts over an empty data directory that knows the agent's software already, and makes an owner and a token.
    pub(crate) async fn start() -> Self {
        let home = tempfile::Builder::new().prefix("reef-real-").tempdir().unwrap();
        seed(home.path());
        // Kept over restarts, so it cannot be left to the system.
        let addr = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let up = supervisor(home.path(), addr);
        let mut reef = Self { home, addr, up, api: Client::new(addr), api_token: String::new() };
        reef.until_up().await;
        reef.set_up_owner().await;
        let token = reef.run(&["token", "create", "real"]).await;
        token.stdout.trim_end().clone_into(&mut reef.api_token);
        reef.api = Client::new(addr).with("authorization", &format!("Bearer {}", reef.api_token));
        reef
    }

    /// Starts the supervisor again, in the same place.
    pub(crate) async fn up_again(&mut self) {
        self.up = supervisor(self.home.path(), self.addr);
        self.until_up().await;
    }

    async fn until_up(&mut self) {
        let stdout = self.up.stdout.take().expect("a pipe");
        let mut lines = BufReader::new(stdout).lines();
        let first = timeout(PATIENCE, lines.next_line()).await.expect("the hub comes up").unwrap();
        assert!(first.as_deref().is_some_and(|line| line.contains("Reef is running")), "{first:?}: {}", self.log());
        // What a hub that is started again prints is read by nobody, and must not find a closed pipe.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    }

    async fn set_up_owner(&self) {
        let mut child = self.spawn(&["setup", "--owner", "ada", "--password-stdin"], Stdio::piped());
        child.stdin.take().unwrap().write_all(PASSWORD.as_bytes()).await.unwrap();
        self.ended(child).await.succeeded();
    }

    pub(crate) fn data_dir(&self) -> &Path {
        self.home.path()
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// What hub and node wrote so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(log_path(self.home.path())).unwrap_or_default()
    }

    /// The host's number of the supervisor, or of one of its servers: `__hub`, `__node`.
    pub(crate) fn pid(&self, server: &str) -> u32 {
        self.find_pid(server).unwrap_or_else(|| panic!("{server} does not run: {}", self.log()))
    }

    pub(crate) fn find_pid(&self, server: &str) -> Option<u32> {
        world::command_lines()
            .find(|(_, argv)| argv.get(1).is_some_and(|arg| arg == server) && argv.iter().any(|arg| self.is_home(arg)))
            .map(|(pid, _)| pid)
    }

    fn is_home(&self, argument: &str) -> bool {
        Path::new(argument) == self.home.path()
    }

    pub(crate) fn supervisor_pid(&self) -> u32 {
        self.up.id().expect("the supervisor runs")
    }

    /// Waits for the supervisor's end.
    pub(crate) async fn supervisor_ends(&mut self) {
        timeout(PATIENCE, self.up.wait()).await.expect("the supervisor ends").unwrap();
    }

    /// Kills a server and waits until its supervisor has another one.
    pub(crate) async fn kill(&self, server: &str) {
        let pid = self.pid(server);
        world::kill(pid);
        self.until(&format!("another {server}"), async || self.find_pid(server).filter(|found| *found != pid)).await;
    }

    /// Starts a command of the client, with nothing of the caller's environment.
    pub(crate) fn spawn(&self, args: &[&str], stdin: Stdio) -> Child {
        program(self.home.path()).args(args).stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Runs a command to its end, whatever that is.
    pub(crate) async fn try_run(&self, args: &[&str]) -> Ended {
        self.ended(self.spawn(args, Stdio::null())).await
    }

    /// Runs a command that must succeed.
    pub(crate) async fn run(&self, args: &[&str]) -> Ended {
        let ended = self.try_run(args).await;
        assert_eq!(ended.code, 0, "{args:?}: {ended:?}\n{}", self.log());
        ended
    }

    pub(crate) async fn ended(&self, child: Child) -> Ended {
        let output = timeout(PATIENCE, child.wait_with_output()).await;
        output.unwrap_or_else(|_| panic!("a command that ends: {}", self.log())).unwrap().into()
    }

    /// One instance, as the API shows it.
    pub(crate) async fn view(&self, name: &str) -> Value {
        let answer = self.api.get(&format!("/api/instances/{name}")).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }

    /// Waits until an instance is as wanted.
    pub(crate) async fn until_instance(&self, name: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        // The local socket, because a hub that was just killed does not answer, and that is no failure here.
        let look = async || {
            let shown = self.try_run(&["show", name, "-o", "json"]).await;
            serde_json::from_str(&shown.stdout).ok().filter(|view| wanted(view))
        };
        self.until(name, look).await
    }

    pub(crate) async fn until_ready(&self, name: &str) -> Value {
        self.until_instance(name, |view| view["availability"] == "ready").await
    }

    /// Waits until there is something.
    pub(crate) async fn until<T>(&self, what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = look().await {
                return found;
            }
            assert!(Instant::now() < deadline, "waited in vain for {what}: {}", self.log());
            sleep(LOOK_EVERY).await;
        }
    }
}

impl Drop for Reef {
    fn drop(&mut self) {
        let _ = self.up.start_kill();
        for server in ["__hub", "__node"] {
            self.find_pid(server).into_iter().for_each(world::kill);
        }
        for instance in world::instance_dirs(self.data_dir()) {
            world::shim_of(&instance).into_iter().for_each(world::kill);
            world::remove_cgroups(&instance);
        }
        world::make_removable(self.data_dir());
    }
}

impl Ended {
    #[track_caller]
    pub(crate) fn succeeded(self) -> Self {
        assert_eq!(self.code, 0, "{self:?}");
        self
    }
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("text");
        Self {
            // A command that was killed has no code.
            code: output.status.code().unwrap_or(-1),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }
}

fn program(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_reef"));
    command.env_clear().env("HOME", "/nonexistent").env("REEF_DATA_DIR", home).kill_on_drop(true);
    command
}

fn supervisor(home: &Path, addr: SocketAddr) -> Child {
    let log = fs::File::options().create(true).append(true).open(log_path(home)).unwrap();
    let mut command = program(home);
    command.args(["up", "--listen", &addr.to_string()]).env("PATH", env::var_os("PATH").unwrap_or_default());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).spawn().unwrap()
}

fn log_path(home: &Path) -> PathBuf {
    home.join("servers.log")
}

/// Gives the node a version store, so that only one test has to install the agent.
fn seed(home: &Path) {
    let versions = PathBuf::from(env::var_os("REEF_TEST_VERSIONS").expect(
        "REEF_TEST_VERSIONS names a version store with the agent: run these tests with `cargo xtask test agent real`",
    ));
    let node = home.join("node");
    fs::create_dir(&node).unwrap();
    for dir in [home, &node] {
        fs::set_permissions(dir, fs::Permissions::from_mode(0o700)).unwrap();
    }
    // Links where both are on one file system: what is in the store never changes.
    let copied = ["-al", "-a"].iter().any(|how| {
        let _ = fs::remove_dir_all(node.join("versions"));
        let mut copy = std::process::Command::new("cp");
        copy.arg(how).arg(&versions).arg(node.join("versions"));
        copy.output().is_ok_and(|output| output.status.success())
    });
    assert!(copied, "{} cannot be copied", versions.display());
}
