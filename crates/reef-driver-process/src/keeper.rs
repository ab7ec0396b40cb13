//! Asking a running shim, at the socket in its run folder.

use std::{io, os::fd::OwnedFd, path::Path, time::Duration};

use crate::readiness;
use reef_driver::{DriverError, Reason};
use reef_sandbox::{
    KeeperError, KeeperReply, KeeperRequest,
    packet::{self, Packet},
    spec::DOOR_SOCKET,
};

/// Longer than the shim's own limit for a connection.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(8);
/// While so many clients wait that the shim's queue is full.
const BUSY_RETRY: Duration = Duration::from_millis(5);

/// Sends one request and waits for the answer, with the descriptor that may come with it.
///
/// # Errors
/// `NotFound` when no shim runs there; else as the shim says.
pub(crate) async fn ask(run: &Path, request: &KeeperRequest) -> Result<Option<OwnedFd>, DriverError> {
    match tokio::time::timeout(ANSWER_TIMEOUT, exchange(run, request)).await {
        Ok(Ok(Packet { message: KeeperReply::Ok, fd })) => Ok(fd),
        Ok(Ok(Packet { message: KeeperReply::Refused { error, message }, .. })) => {
            Err(DriverError::new(reason(error), message))
        }
        Ok(Err(err)) => match err.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                Err(DriverError::new(Reason::NotFound, "the instance is not running"))
            }
            _ => Err(DriverError::io("cannot talk to the instance's shim", &err)),
        },
        Err(_) => Err(DriverError::new(Reason::Unavailable, "the instance's shim does not answer")),
    }
}

/// The same, for requests that are answered with a socket.
pub(crate) async fn ask_for_socket(run: &Path, request: &KeeperRequest) -> Result<OwnedFd, DriverError> {
    ask(run, request).await?.ok_or_else(|| DriverError::new(Reason::Internal, "the instance's shim sent no socket"))
}

async fn exchange(run: &Path, request: &KeeperRequest) -> io::Result<Packet<KeeperReply>> {
    let socket = loop {
        match packet::connect(run, DOOR_SOCKET) {
            Err(err) if err.kind() == io::ErrorKind::WouldBlock => tokio::time::sleep(BUSY_RETRY).await,
            other => break readiness::register(other?)?,
        }
    };
    loop {
        let mut ready = socket.writable().await?;
        if let Ok(sent) = ready.try_io(|fd| packet::send(fd.get_ref(), request, None)) {
            sent?;
            break;
        }
    }
    loop {
        let mut ready = socket.readable().await?;
        if let Ok(received) = ready.try_io(|fd| packet::receive(fd.get_ref())) {
            return received?.ok_or_else(|| io::ErrorKind::ConnectionReset.into());
        }
    }
}

fn reason(error: KeeperError) -> Reason {
    match error {
        KeeperError::Invalid => Reason::Invalid,
        KeeperError::NotFound => Reason::NotFound,
        KeeperError::Unavailable => Reason::Unavailable,
        KeeperError::Failed => Reason::Internal,
    }
}
