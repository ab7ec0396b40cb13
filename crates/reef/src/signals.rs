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

/// Asks the kernel to send SIGTERM when the parent dies, so that a killed `reef up` leaves no server behind that nobody
/// watches. Instances are not concerned: they are nobody's children here.
pub(crate) fn stop_with_parent() -> std::io::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::TERM))?;
    // The parent may have died before the call: then nobody sends the signal.
    if rustix::process::getppid() == Some(rustix::process::Pid::INIT) {
        return Err(std::io::Error::other("the parent process is gone"));
    }
    Ok(())
}
