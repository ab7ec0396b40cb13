//! The system calls that no library offers safely. Everything `unsafe` of process control is here.

use std::{
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
    time::Duration,
};

use rustix::{event::Timespec, process::Pid, thread::UnshareFlags};

/// What a fork returns in each of the two processes.
pub(crate) enum Forked {
    Parent(Pid),
    Child,
}

/// Forks. Only for a process with one thread: the child of others may not even allocate.
pub(crate) fn fork() -> io::Result<Forked> {
    debug_assert_eq!(threads(), 1, "fork in a process with several threads");
    // SAFETY: this process has a single thread, so no lock can be held by another one in the copy.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(Forked::Child),
        pid => Ok(Forked::Parent(Pid::from_raw(pid).expect("fork returns a positive id in the parent"))),
    }
}

/// How many threads this process has.
pub(crate) fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").map_or(1, Iterator::count)
}

/// Ends this process at once, without running destructors or flushing buffers that belong to the parent.
pub(crate) fn exit(code: i32) -> ! {
    // SAFETY: `_exit` has no preconditions.
    unsafe { libc::_exit(code) }
}

/// Leaves namespaces for new ones.
pub(crate) fn unshare(flags: UnshareFlags) -> io::Result<()> {
    // SAFETY: descriptors stay shared (`FILES` is never passed), which is what the function is unsafe for.
    Ok(unsafe { rustix::thread::unshare_unsafe(flags) }?)
}

/// Makes all descriptors from `first` on vanish at the next execution.
pub(crate) fn close_on_exec_from(first: u32) -> io::Result<()> {
    close_range(first, libc::CLOSE_RANGE_CLOEXEC)
}

/// Closes all descriptors from `first` on. The caller must own none of them as a value any more.
pub(crate) fn close_from(first: u32) -> io::Result<()> {
    close_range(first, 0)
}

fn close_range(first: u32, flags: u32) -> io::Result<()> {
    // SAFETY: plain numbers; what is closed is never used again, because callers exec or keep only lower descriptors.
    check(unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, flags) })
}

/// Takes over a descriptor that this process was started with or has put at a fixed number.
pub(crate) fn adopt_fd(number: i32) -> OwnedFd {
    // SAFETY: called once per number, right after the number was made to belong to nobody else.
    unsafe { OwnedFd::from_raw_fd(number) }
}

/// Puts a copy of `fd` at the number `at`, in place of what was there, to be inherited.
pub(crate) fn copy_fd_to(fd: impl AsFd, at: i32) -> io::Result<()> {
    // SAFETY: `dup2` with two descriptor numbers; `at` is one that no value of this process owns.
    check(i64::from(unsafe { libc::dup2(fd.as_fd().as_raw_fd(), at) }))
}

/// Sets attributes of a mount; with `recursive`, of all mounts below it too.
pub(crate) fn mount_setattr(tree: BorrowedFd<'_>, attributes: u64, recursive: bool) -> io::Result<()> {
    let attr = libc::mount_attr { attr_set: attributes, attr_clr: 0, propagation: 0, userns_fd: 0 };
    let flags = libc::AT_EMPTY_PATH | if recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: the path is an empty C string, and `attr` lives across the call with exactly the size that is passed.
    check(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            tree.as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw const attr,
            size_of::<libc::mount_attr>(),
        )
    })
}

/// Brings the loopback interface of the current network namespace up.
pub(crate) fn loopback_up(socket: impl AsFd) -> io::Result<()> {
    // SAFETY: `ifreq` is plain data for which all zeroes is a valid value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = *from as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as i16;
    // SAFETY: SIOCSIFFLAGS reads an `ifreq`, which lives across the call.
    check(i64::from(unsafe { libc::ioctl(socket.as_fd().as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) }))
}

/// Takes one capability out of the bounding set; false when the kernel does not know that number.
pub(crate) fn drop_bounding(capability: u32) -> io::Result<bool> {
    // SAFETY: `prctl` with plain numbers.
    match check(i64::from(unsafe { libc::prctl(libc::PR_CAPBSET_DROP, libc::c_ulong::from(capability), 0, 0, 0) })) {
        Ok(()) => Ok(true),
        Err(err) if err.raw_os_error() == Some(libc::EINVAL) => Ok(false),
        Err(err) => Err(err),
    }
}

/// Ignores a signal, or with false lets it do what it does by default.
pub(crate) fn ignore_signal(signal: i32, ignore: bool) {
    let action = if ignore { libc::SIG_IGN } else { libc::SIG_DFL };
    // SAFETY: no handler is installed, so nothing can run in signal context.
    unsafe { libc::signal(signal, action) };
}

/// Back to what a fresh program expects: every signal unblocked and with its default effect.
pub(crate) fn reset_signals() {
    for signal in 1..=libc::SIGRTMAX() {
        ignore_signal(signal, false);
    }
    // SAFETY: the set is initialised by `sigemptyset` before it is used.
    unsafe {
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
    }
}

/// A set of signals that are waited for instead of being delivered.
pub(crate) struct SignalSet(libc::sigset_t);

impl SignalSet {
    /// Blocks every signal, from now on.
    pub(crate) fn block_all() -> Self {
        // SAFETY: the set is initialised by `sigfillset` before it is used.
        unsafe {
            let mut set: libc::sigset_t = std::mem::zeroed();
            libc::sigfillset(&raw mut set);
            libc::sigprocmask(libc::SIG_SETMASK, &raw const set, std::ptr::null_mut());
            Self(set)
        }
    }

    /// The next signal of the set.
    pub(crate) fn wait(&self) -> i32 {
        let mut signal = 0;
        // SAFETY: both pointers are to live values; the set was initialised in `block_all`.
        while unsafe { libc::sigwait(&raw const self.0, &raw mut signal) } != 0 {}
        signal
    }
}

/// Lets time pass, for polling what the kernel gives no notice of.
pub(crate) fn pause(time: Duration) {
    let timeout = Timespec::try_from(time).unwrap_or(Timespec { tv_sec: 1, tv_nsec: 0 });
    let _ = rustix::event::poll(&mut [], Some(&timeout));
}

fn check(result: i64) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
