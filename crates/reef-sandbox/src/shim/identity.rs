//! Who the sandbox is, inside and outside, and whose network namespace the shim is in.

use std::{fs, io::Write, path::PathBuf};

use rustix::{process::Pid, thread::UnshareFlags};

use crate::{
    error::{At, SetupError, Step},
    spec::AGENT_UID,
    sys,
};

/// Which network the sandbox and its shim are in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Network {
    Host,
    /// A new one with nothing but loopback.
    Own,
}

/// Brings the shim into the namespaces that it shares with the sandbox. Returns whether the shim is root.
///
/// Root keeps its identity here, and the first process gives it up later; so the namespaces belong to the host's root,
/// and nothing inside ever had power over them. An ordinary user has no power outside of a user namespace, so the shim
/// itself moves into one.
pub(super) fn enter(network: Network) -> Result<bool, SetupError> {
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let as_root = runs_as_host_root();
    if !as_root {
        sys::unshare(UnshareFlags::NEWUSER).at(Step::MakeUserNamespace)?;
        write_map(&PathBuf::from("/proc/self"), uid, gid)?;
    }
    if network == Network::Own {
        sys::unshare(UnshareFlags::NEWNET).at(Step::MakeNetwork)?;
        let socket = rustix::net::socket_with(
            rustix::net::AddressFamily::INET,
            rustix::net::SocketType::DGRAM,
            rustix::net::SocketFlags::CLOEXEC,
            None,
        )
        .at(Step::MakeNetwork)?;
        sys::loopback_up(&socket).at(Step::MakeNetwork)?;
    }
    Ok(as_root)
}

/// Gives the waiting first process its identity on the host.
pub(super) fn map(init: Pid, host_uid: u32) -> Result<(), SetupError> {
    let proc = PathBuf::from(format!("/proc/{}", init.as_raw_nonzero()));
    write_map(&proc, host_uid, host_uid)
}

/// Exactly one uid and gid. Groups cannot be dropped afterwards, which would lift a refusal by group (CVE-2014-8989).
fn write_map(proc: &std::path::Path, uid: u32, gid: u32) -> Result<(), SetupError> {
    let write = |file: &str, text: String| {
        fs::File::options()
            .write(true)
            .open(proc.join(file))
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .at_path(Step::MapIdentity, proc.join(file))
    };
    write("setgroups", "deny".to_owned())?;
    write("uid_map", format!("{AGENT_UID} {uid} 1"))?;
    write("gid_map", format!("{AGENT_UID} {gid} 1"))
}

/// Whether sandboxes get host uids of their own. Root of a user namespace may not have the uids of the pool: it counts as
/// an ordinary user.
pub fn runs_as_host_root() -> bool {
    let text = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    rustix::process::geteuid().is_root() && text.split_ascii_whitespace().eq(["0", "0", "4294967295"])
}
