//! Starting a shim and hearing what became of it.

use std::{
    os::{fd::OwnedFd, unix::net::UnixStream as StdUnixStream},
    process::Stdio,
    time::Duration,
};

use reef_driver::{DriverError, Reason};
use reef_sandbox::{Report, RunRecord, Secret, SetupError, ShimSpec, Step, frame};
use rustix::io::Errno;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Take},
    net::UnixStream,
    process::{Child, Command},
};

use crate::ShimCommand;

/// From the start of the shim to the execution of the program; a machine under load needs seconds.
const START_TIMEOUT: Duration = Duration::from_secs(30);
/// All reports of a shim together, in bytes.
const REPORT_BYTES_MAX: u64 = 256 << 10;

/// What the shim's own standard output and error are.
pub(crate) enum Output {
    Discard,
    /// To be taken from the child.
    Pipes,
}

/// A shim whose program was executed.
pub(crate) struct Launched {
    pub(crate) child: Child,
    pub(crate) record: RunRecord,
    link: BufReader<Take<UnixStream>>,
}

/// Starts a shim and waits until its program was executed. Secrets are for instances only.
///
/// # Errors
/// With the step that failed; nothing is left running then.
pub(crate) async fn launch(
    shim: &ShimCommand,
    spec: &ShimSpec,
    secrets: &[Secret],
    output: Output,
) -> Result<Launched, DriverError> {
    let mut frames = frame::encode(spec).map_err(|err| io("cannot describe the sandbox", &err))?;
    if let ShimSpec::Instance(_) = spec {
        frames.extend(frame::encode(&secrets).map_err(|err| io("cannot pass the secrets", &err))?);
    }
    let (mut link, far) = UnixStream::pair().map_err(|err| io("cannot make a socket", &err))?;
    let far = blocking(far).map_err(|err| io("cannot make a socket", &err))?;
    let pipe = || match output {
        Output::Discard => Stdio::null(),
        Output::Pipes => Stdio::piped(),
    };
    let mut child = Command::new(&shim.program)
        .args(&shim.args)
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::from(far))
        .stdout(pipe())
        .stderr(pipe())
        // A shim that is given up during its start takes everything with it.
        .kill_on_drop(true)
        .spawn()
        .map_err(|err| io("cannot start the shim", &err))?;
    let exchange = async {
        link.write_all(&frames).await?;
        link.shutdown().await?;
        let mut link = BufReader::new(link.take(REPORT_BYTES_MAX));
        let report = next_report(&mut link).await?;
        Ok::<_, std::io::Error>((link, report))
    };
    let answered = tokio::time::timeout(START_TIMEOUT, exchange).await;
    match answered {
        Ok(Ok((link, Some(Report::Started(record))))) => Ok(Launched { child, record, link }),
        Ok(Ok((_, Some(Report::Failed(error))))) => {
            let _ = child.wait().await;
            Err(setup_failed(&error))
        }
        Ok(Ok(_)) => Err(DriverError::new(Reason::Internal, "the shim ended without saying why")),
        Ok(Err(err)) => Err(io("cannot talk to the shim", &err)),
        Err(_) => Err(DriverError::new(Reason::Timeout, "the sandbox was not ready in time")),
    }
}

impl Launched {
    /// What the shim says next; none when it says nothing more.
    pub(crate) async fn next_report(&mut self) -> Option<Report> {
        next_report(&mut self.link).await.ok().flatten()
    }

    /// Lets the shim outlive this process.
    pub(crate) fn disown(self) -> (Disowned, RunRecord) {
        (Disowned(Some(self.child)), self.record)
    }
}

/// A child that is waited for, but not ended when nobody waits any more.
pub(crate) struct Disowned(Option<Child>);

impl Disowned {
    /// Returns when it has ended.
    pub(crate) async fn wait(mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.wait().await;
            self.0 = None;
        }
    }
}

impl Drop for Disowned {
    fn drop(&mut self) {
        if let Some(child) = self.0.take() {
            // The only way to take back `kill_on_drop`: the process that would have been reaped is left to init when
            // this one ends, which is the only time that a watcher is dropped early.
            std::mem::forget(child);
        }
    }
}

async fn next_report(link: &mut BufReader<Take<UnixStream>>) -> std::io::Result<Option<Report>> {
    let mut line = Vec::new();
    link.read_until(b'\n', &mut line).await?;
    Ok(serde_json::from_slice(&line).ok())
}

fn blocking(socket: UnixStream) -> std::io::Result<OwnedFd> {
    let socket: StdUnixStream = socket.into_std()?;
    socket.set_nonblocking(false)?;
    Ok(socket.into())
}

pub(crate) fn setup_failed(error: &SetupError) -> DriverError {
    let reason = match error.os_error.map(Errno::from_raw_os_error) {
        Some(Errno::PERM | Errno::ACCESS | Errno::NOSYS) => Reason::Permission,
        Some(Errno::NOMEM | Errno::NOSPC | Errno::MFILE | Errno::NFILE | Errno::AGAIN | Errno::DQUOT) => {
            Reason::Exhausted
        }
        Some(Errno::NOENT) if error.step == Step::Execute => Reason::Invalid,
        _ if error.step == Step::Lock => Reason::Conflict,
        _ => Reason::Internal,
    };
    DriverError::new(reason, format!("the sandbox could not be started: {error}"))
}

fn io(what: &str, err: &std::io::Error) -> DriverError {
    DriverError::io(what, err)
}
