//! Handing a descriptor over a Unix socket (unix(7), SCM_RIGHTS). It travels with one byte of its own: frames are read
//! exactly, so that no other read can swallow it.

use std::{
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::fd::{BorrowedFd, OwnedFd},
};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg,
};
use tokio::{io::Interest, net::UnixStream};

pub(crate) async fn send(stream: &UnixStream, fd: BorrowedFd<'_>) -> io::Result<()> {
    stream
        .async_io(Interest::WRITABLE, || {
            let fds = [fd];
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
            let mut control = SendAncillaryBuffer::new(&mut space);
            if !control.push(SendAncillaryMessage::ScmRights(&fds)) {
                return Err(io::Error::other("the control buffer is too small for one descriptor"));
            }
            sendmsg(stream, &[IoSlice::new(&[0])], &mut control, SendFlags::NOSIGNAL)?;
            Ok(())
        })
        .await
}

/// # Errors
/// `UnexpectedEof` when the peer closed, `InvalidData` when the byte came without a descriptor.
pub(crate) async fn receive(stream: &UnixStream) -> io::Result<OwnedFd> {
    stream
        .async_io(Interest::READABLE, || {
            let mut byte = [0];
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
            let mut control = RecvAncillaryBuffer::new(&mut space);
            let received = recvmsg(stream, &mut [IoSliceMut::new(&mut byte)], &mut control, RecvFlags::CMSG_CLOEXEC)?;
            // Descriptors that are not taken out are closed with the buffer.
            let fd = control.drain().find_map(|message| match message {
                RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
                _ => None,
            });
            match fd {
                Some(fd) => Ok(fd),
                None if received.bytes == 0 => Err(io::ErrorKind::UnexpectedEof.into()),
                None => Err(io::Error::new(io::ErrorKind::InvalidData, "no socket came with the answer")),
            }
        })
        .await
}
