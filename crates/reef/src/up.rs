//! `reef up`: keeps a node and a hub running. It does nothing else, so that it has nothing to die of.

mod background;
mod child;

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{Read, Seek, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use anyhow::{Context, bail};

use self::child::{Child, Ended};
use crate::{hub::HubArgs, paths::Paths, signals};

pub(crate) use background::down;

/// Options of `reef up`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct UpArgs {
    #[command(flatten)]
    pub(crate) hub: HubArgs,
    /// Run in the background; stop it with `reef down`
    #[arg(short = 'd', long)]
    pub(crate) detach: bool,
    /// Open the page in the browser
    #[arg(long)]
    pub(crate) open: bool,
    #[arg(long, hide = true)]
    pub(crate) background: bool,
}

/// Runs node and hub until told to stop, and starts them again when they die.
pub(crate) fn run(data_dir: &Path, args: &UpArgs) -> anyhow::Result<()> {
    let paths =
        Paths::create(data_dir).with_context(|| format!("the data directory {} cannot be used", data_dir.display()))?;
    if args.detach {
        // Only to see that nobody holds it; the background process takes it for itself.
        drop(lock(&paths)?);
        return background::start(&paths, args);
    }
    if args.background {
        // Away from the terminal that started it.
        let _ = rustix::process::setsid();
    }
    let _lock = lock(&paths)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(supervise(&paths, args))
}

async fn supervise(paths: &Paths, args: &UpArgs) -> anyhow::Result<()> {
    let stop = signals::stop_token()?;
    let mut node = Child::node(paths);
    let mut hub = Child::hub(paths, &args.hub);
    node.start()?;
    hub.start()?;
    if args.open {
        background::open_page(args.hub.listen);
    }
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            ended = node.ended() => node.again(ended).await?,
            ended = hub.ended() => match ended {
                // A hub that refuses to start says why and would say it again.
                Ended::Refused(code) => {
                    node.stop().await;
                    bail!("the hub did not start (exit code {code}); see above");
                }
                ended => hub.again(ended).await?,
            },
        }
    }
    // The hub first: what it drains may still need the node.
    hub.stop().await;
    node.stop().await;
    Ok(())
}

/// One `reef up` for one data directory.
fn lock(paths: &Paths) -> anyhow::Result<File> {
    let path = paths.up_lock();
    let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut pid = String::new();
            file.take(20).read_to_string(&mut pid)?;
            bail!(
                "Reef is running already for this data directory (process {}); stop it with `reef down`, or choose another with --data-dir",
                pid.trim()
            );
        }
        Err(TryLockError::Error(err)) => return Err(err).context("the data directory cannot be locked"),
    }
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())?;
    Ok(file)
}
