//! How long it takes until there is an agent: from nothing to the first answer, and one more instance beside the same
//! agent started by hand, with the same files, arguments and environment but without any sandbox.

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use reef_driver::{
    AgentKind, RenderInput, Workload,
    agent::{Dialect, ModelInfo},
    sandbox_paths,
};
use reef_openclaw::OpenClaw;
use reef_types::{AgentRef, Egress, InstanceId, InstanceSpec, Resources};
use secrecy::SecretString;

use crate::{
    hub::{self, Reef},
    machine::Process,
    table,
};

/// Port of the model broker in the configuration; nothing listens there by hand, and nothing is asked before a chat.
const BROKER_PORT: u16 = 17_601;
/// How long the agent may take to answer that it is ready; it answers at once or not at all.
const ANSWER: Duration = Duration::from_secs(1);

/// How often, and where.
#[derive(Debug, clap::Args)]
pub(crate) struct StartArgs {
    /// Pairs of starts; medians are over these
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Use this data directory with what is installed there, instead of an empty one
    #[arg(long)]
    data_dir: Option<PathBuf>,
}

pub(crate) fn run(program: &Path, args: &StartArgs) -> Result<()> {
    let empty = tempfile::tempdir()?;
    let data_dir = args.data_dir.as_deref().unwrap_or(empty.path());
    let reef = Reef::new(program, data_dir);
    let begun = Instant::now();
    let (mut server, _) = reef.up()?;
    eprintln!("up after {:.1} s", begun.elapsed().as_secs_f64());
    reef.run(&["create", "first"], "")?;
    eprintln!("first instance after {:.1} s", begun.elapsed().as_secs_f64());
    reef.run(&["chat", "first", "hello"], "")?;
    let first = begun.elapsed().as_secs_f64();

    let (mut by_hand, mut by_reef) = (Vec::new(), Vec::new());
    for round in 0..args.rounds {
        server.check()?;
        let mut hand = || -> Result<()> {
            by_hand.push(start_by_hand(data_dir)?);
            Ok(())
        };
        let mut create = || -> Result<()> {
            let name = format!("round-{round}");
            let begun = Instant::now();
            reef.run(&["create", &name], "")?;
            by_reef.push(begun.elapsed().as_secs_f64());
            reef.run(&["rm", &name, "--yes"], "")?;
            Ok(())
        };
        // Whoever is second has the warmer machine.
        if round % 2 == 0 {
            hand()?;
            create()?;
        } else {
            create()?;
            hand()?;
        }
        eprintln!("round {round}: by hand {:.1} s, reef {:.1} s", by_hand[round], by_reef[round]);
    }
    let ratios: Vec<_> = by_reef.iter().zip(&by_hand).map(|(reef, hand)| reef / hand).collect();
    let row = |what: &str, times: &[f64], ratio: String| {
        let (low, high) = table::range(times);
        [what.to_owned(), format!("{:.1}", table::median(times)), format!("{low:.1} to {high:.1}"), ratio]
    };
    let with = if args.data_dir.is_some() { "the folder that was named" } else { "an empty folder" };
    table::print(
        ["what", "median s", "range s", "to by hand"],
        [
            row(&format!("`reef up` to the first answer, with {with}"), &[first], "-".to_owned()),
            row("the agent by hand, to ready", &by_hand, "1.00".to_owned()),
            row("`reef create`, to ready", &by_reef, format!("{:.2}", table::median(&ratios))),
        ],
    );
    reef.run(&["rm", "first", "--yes"], "")?;
    Ok(())
}

/// Starts the agent as a person would who has its files, and returns the seconds until it says that it is ready.
fn start_by_hand(data_dir: &Path) -> Result<f64> {
    let workload = workload()?;
    let dir = tempfile::tempdir()?;
    let place = Place { dir: dir.path().to_owned(), versions: reef_node::versions_dir(&data_dir.join("node")) };
    for folder in ["state", "workspace", "home", "tmp", "secrets"] {
        fs::create_dir(dir.path().join(folder))?;
    }
    for file in &workload.files {
        let path = PathBuf::from(place.outside(&file.path));
        fs::create_dir_all(path.parent().context("a file without folder")?)?;
        fs::write(path, place.outside(&file.content))?;
    }
    for secret in &workload.secrets {
        fs::write(dir.path().join("secrets").join(&secret.name), &secret.value)?;
    }
    let mut argv = workload.argv.iter().map(|arg| place.outside(arg));
    let mut command = Command::new(argv.next().context("no program")?);
    command.args(argv).env_clear().current_dir(place.outside(&workload.cwd));
    command.envs(workload.env.iter().map(|(name, value)| (name, place.outside(value))));
    command.env("TMPDIR", dir.path().join("tmp"));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());

    let begun = Instant::now();
    let mut process = Process::spawn(&mut command)?;
    let gateway = SocketAddr::from(([127, 0, 0, 1], OpenClaw.gateway_port()));
    hub::wait("the agent", || {
        process.check()?;
        Ok(is_ready(gateway).then_some(()))
    })?;
    Ok(begun.elapsed().as_secs_f64())
}

fn is_ready(gateway: SocketAddr) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect_timeout(&gateway, ANSWER)?;
        stream.set_read_timeout(Some(ANSWER))?;
        stream.write_all(b"GET /readyz HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n")?;
        let mut head = [0; 12];
        stream.read_exact(&mut head)?;
        Ok(&head == b"HTTP/1.1 200")
    };
    ask().unwrap_or(false)
}

/// Where by hand is what a sandbox has elsewhere.
struct Place {
    dir: PathBuf,
    versions: PathBuf,
}

impl Place {
    fn outside(&self, text: &str) -> String {
        let folder = |name: &str| self.dir.join(name).display().to_string();
        text.replace(sandbox_paths::VERSIONS, &self.versions.display().to_string())
            .replace(sandbox_paths::STATE, &folder("state"))
            .replace(sandbox_paths::WORKSPACE, &folder("workspace"))
            .replace(sandbox_paths::SECRETS, &folder("secrets"))
            .replace(sandbox_paths::HOME, &folder("home"))
    }
}

/// What a new instance gets that nobody has wished anything for.
fn workload() -> Result<Workload> {
    let spec: InstanceSpec = serde_json::from_value(serde_json::json!({
        "id": InstanceId::new(), "name": "by-hand", "driver": "process", "labels": {}, "generation": 1,
        "displayName": null, "model": null, "createdAt": "2026-01-01T00:00:00Z",
        "agent": AgentRef { kind: OpenClaw.kind().to_owned(), version: OpenClaw.default_version().to_owned() },
        "resources": Resources::default(), "egress": Egress::Closed,
    }))?;
    let echo = ModelInfo {
        id: "echo/echo-1".to_owned(),
        name: "Echo".to_owned(),
        dialect: Dialect::OpenAiChat,
        context_tokens: 128_000,
        output_tokens_max: 8_192,
    };
    let input = RenderInput {
        spec: &spec,
        credential: &OpenClaw.new_credential(),
        broker_port: BROKER_PORT,
        broker_key: &SecretString::from("not-a-key"),
        models: &[echo],
        egress_port: None,
    };
    Ok(OpenClaw.render(&input)?)
}
