//! The doors of a sandbox: sockets that the shim makes in the sandbox's network namespace, where it lives itself.

use std::{
    io,
    net::{Ipv4Addr, SocketAddrV4},
    os::fd::OwnedFd,
};

use rustix::{
    io::Errno,
    net::{AddressFamily, SocketFlags, SocketType, sockopt},
};

const BACKLOG: i32 = 128;

/// Listens at a port on the sandbox's loopback. The socket is blocking; whoever gets it decides for itself.
pub(super) fn listen(port: u16) -> io::Result<OwnedFd> {
    let socket = socket(SocketFlags::CLOEXEC)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    rustix::net::bind(&socket, &loopback(port))?;
    rustix::net::listen(&socket, BACKLOG)?;
    Ok(socket)
}

/// How far a connection is.
pub(super) enum Dialled {
    Connected(OwnedFd),
    /// To be asked again when the socket is writable.
    Underway(OwnedFd),
}

/// Begins to connect to a port on the sandbox's loopback, without waiting.
pub(super) fn dial(port: u16) -> io::Result<Dialled> {
    let socket = socket(SocketFlags::CLOEXEC | SocketFlags::NONBLOCK)?;
    match rustix::net::connect(&socket, &loopback(port)) {
        Ok(()) => Ok(Dialled::Connected(socket)),
        Err(Errno::INPROGRESS) => Ok(Dialled::Underway(socket)),
        Err(err) => Err(err.into()),
    }
}

/// What became of a connection that was underway, once its socket is writable.
pub(super) fn outcome(socket: &OwnedFd) -> io::Result<()> {
    Ok(sockopt::socket_error(socket)??)
}

fn socket(flags: SocketFlags) -> io::Result<OwnedFd> {
    Ok(rustix::net::socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?)
}

fn loopback(port: u16) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)
}
