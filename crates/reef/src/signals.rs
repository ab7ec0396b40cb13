//! The order to stop.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Cancelled by SIGTERM or SIGINT.
pub(crate) fn stop_token() -> std::io::Result<CancellationToken> {
    let token = CancellationToken::new();
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let cancelled = token.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
        cancelled.cancel();
    });
    Ok(token)
}

/// Who started a server.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct Supervisor {
    /// Process id of the `reef up` that watches over this server
    #[arg(long = "supervisor", value_name = "PID", hide = true)]
    pid: Option<i32>,
}

impl Supervisor {
    /// Asks the kernel to send SIGTERM when the parent dies, so that a killed `reef up` leaves no server behind that
    /// nobody watches. Instances are not concerned: they are nobody's children here.
    ///
    /// # Errors
    /// When the supervisor died before this call: then nobody would send the signal.
    pub(crate) fn stop_together(self) -> std::io::Result<()> {
        rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::TERM))?;
        let parent = rustix::process::getppid().map(|pid| pid.as_raw_nonzero().get());
        if self.pid.is_some() && parent != self.pid {
            return Err(std::io::Error::other("the supervisor is gone"));
        }
        Ok(())
    }
}
