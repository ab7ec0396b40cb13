//! One message with at most one descriptor over a Unix packet socket: the kernel keeps the message borders.

use std::{
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::Path,
};

use rustix::{
    fs::{Mode, OFlags},
    net::{
        AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
        SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType,
    },
};
use serde::{Serialize, de::DeserializeOwned};

/// The largest message, in bytes.
pub const PACKET_BYTES_MAX: usize = 192 << 10;

/// A received message.
#[derive(Debug)]
pub struct Packet<T> {
    pub message: T,
    pub fd: Option<OwnedFd>,
}

/// Sends one message.
///
/// # Errors
/// `InvalidInput` when it is too large; `WouldBlock` when the socket is non-blocking and full.
pub fn send<T: Serialize>(socket: impl AsFd, message: &T, fd: Option<BorrowedFd<'_>>) -> io::Result<()> {
    let bytes = serde_json::to_vec(message)?;
    if bytes.len() > PACKET_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the message is too large"));
    }
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let fds = fd.map(|fd| [fd]);
    if let Some(fds) = &fds {
        control.push(SendAncillaryMessage::ScmRights(fds));
    }
    rustix::net::sendmsg(socket, &[IoSlice::new(&bytes)], &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// Receives one message; none when the other side has closed.
///
/// # Errors
/// `InvalidData` when it is not of the expected form or too large; `WouldBlock` when there is none yet.
pub fn receive<T: DeserializeOwned>(socket: impl AsFd) -> io::Result<Option<Packet<T>>> {
    let mut bytes = vec![0; PACKET_BYTES_MAX];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let got = rustix::net::recvmsg(socket, &mut [IoSliceMut::new(&mut bytes)], &mut control, RecvFlags::CMSG_CLOEXEC)?;
    let fd = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
        _ => None,
    });
    if got.bytes == 0 {
        return Ok(None);
    }
    if got.flags.contains(ReturnFlags::TRUNC) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the message is too large"));
    }
    let message = serde_json::from_slice(&bytes[..got.bytes])
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "the message is not of the expected form"))?;
    Ok(Some(Packet { message, fd }))
}

/// Two connected, blocking packet sockets.
pub(crate) fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?)
}

/// Connects, without blocking, to the packet socket `name` in the folder `dir`.
///
/// # Errors
/// `NotFound` or `ConnectionRefused` when nobody listens there.
pub fn connect(dir: &Path, name: &str) -> io::Result<OwnedFd> {
    let (_dir, address) = address(dir, name)?;
    let socket = socket()?;
    rustix::net::connect(&socket, &address)?;
    Ok(socket)
}

/// Listens, without blocking, at a new packet socket `name` in the folder `dir` that only its owner may connect to.
pub(crate) fn listen(dir: &Path, name: &str, backlog: i32) -> io::Result<OwnedFd> {
    let (dir, address) = address(dir, name)?;
    match rustix::fs::unlinkat(&dir, name, rustix::fs::AtFlags::empty()) {
        Ok(()) | Err(rustix::io::Errno::NOENT) => {}
        Err(err) => return Err(err.into()),
    }
    let socket = socket()?;
    rustix::net::bind(&socket, &address)?;
    rustix::fs::chmodat(&dir, name, Mode::from_raw_mode(0o600), rustix::fs::AtFlags::empty())?;
    rustix::net::listen(&socket, backlog)?;
    Ok(socket)
}

fn socket() -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?)
}

/// A socket address holds 107 bytes at most, and folders lie deeper than that: go through a descriptor.
fn address(dir: &Path, name: &str) -> io::Result<(OwnedFd, SocketAddrUnix)> {
    use std::os::fd::AsRawFd;
    let fd = rustix::fs::open(dir, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let address = SocketAddrUnix::new(format!("/proc/self/fd/{}/{name}", fd.as_raw_fd()))?;
    Ok((fd, address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_descriptor_travels_with_its_message() {
        let (left, right) = pair().unwrap();
        let (keep, travel) = pair().unwrap();
        send(&left, &"hello", Some(travel.as_fd())).unwrap();
        let packet = receive::<String>(&right).unwrap().unwrap();
        assert_eq!(packet.message, "hello");
        send(packet.fd.unwrap(), &1, None).unwrap();
        assert_eq!(receive::<i32>(&keep).unwrap().unwrap().message, 1);
        drop(left);
        assert!(receive::<String>(&right).unwrap().is_none());
    }

    #[test]
    fn a_deep_folder_is_no_obstacle() {
        let base = tempfile::tempdir().unwrap();
        let dir = base.path().join("d".repeat(120));
        std::fs::create_dir(&dir).unwrap();
        let _listener = listen(&dir, "s", 1).unwrap();
        connect(&dir, "s").unwrap();
        assert_eq!(connect(&dir, "t").unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
