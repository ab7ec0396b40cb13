//! Which system calls a sandboxed program does not get.
//!
//! A list of refusals, not of permissions: agents run arbitrary tools, and what a container engine refuses by default is
//! the measure. Namespaces, mounts, kernel keyrings, tracing of the kernel and everything that only administrators need
//! is gone; what has a fall-back in common programs answers "not implemented", so that they use it.

use std::collections::BTreeMap;

use libc::c_long;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    sock_filter,
};

/// Newer than the C libraries that this is built with; the same number on every processor.
const OPEN_TREE_ATTR: c_long = 467;

/// Refused with "not permitted".
const REFUSED: &[c_long] = &[
    // Mounts and roots.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_open_tree,
    OPEN_TREE_ATTR,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    // Namespaces (`clone` is judged by its flags).
    libc::SYS_unshare,
    libc::SYS_setns,
    // The kernel itself.
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_reboot,
    libc::SYS_syslog,
    libc::SYS_acct,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_adjtimex,
    libc::SYS_clock_adjtime,
    libc::SYS_vhangup,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_iopl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ioperm,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_modify_ldt,
    // Large attack surface without use here.
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    libc::SYS_fanotify_init,
    libc::SYS_lookup_dcookie,
    // Around the file system's walls.
    libc::SYS_open_by_handle_at,
    libc::SYS_name_to_handle_at,
    // Moving memory of others between nodes, and comparing kernel objects.
    libc::SYS_migrate_pages,
    libc::SYS_move_pages,
    libc::SYS_kcmp,
];

/// Answered with "not implemented": callers fall back to something that can be judged.
const ABSENT: &[c_long] =
    &[libc::SYS_clone3, libc::SYS_io_uring_setup, libc::SYS_io_uring_enter, libc::SYS_io_uring_register];

/// Flags of `clone` that make a namespace.
const CLONE_NAMESPACES: &[i32] = &[
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWNS,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWCGROUP,
];

/// Terminal requests that put input into somebody else's terminal: TIOCSTI and TIOCLINUX. The C libraries disagree on
/// the type of their names.
const TERMINAL_INJECTION: &[u64] = &[0x5412, 0x541c];

/// Bit 30 marks a system call of the x32 interface, which would bypass every rule by number.
const X32_BIT: u32 = 0x4000_0000;

/// Whether programs may make Unix sockets. With the host's network they would reach the host's abstract ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UnixSockets {
    Allowed,
    Refused,
}

/// Filters the calling process, for good.
pub(crate) fn apply(unix: UnixSockets) -> Result<(), String> {
    for program in programs(unix)? {
        seccompiler::apply_filter(&program).map_err(|err| err.to_string())?;
    }
    Ok(())
}

fn programs(unix: UnixSockets) -> Result<Vec<BpfProgram>, String> {
    let mut refused: BTreeMap<i64, Vec<SeccompRule>> = REFUSED.iter().map(|nr| (*nr, Vec::new())).collect();
    let namespaces = CLONE_NAMESPACES.iter().map(|flag| {
        let bits = *flag as u64;
        rule([condition(0, SeccompCmpOp::MaskedEq(bits), bits)?])
    });
    refused.insert(libc::SYS_clone, namespaces.collect::<Result<_, _>>()?);
    let injection = TERMINAL_INJECTION.iter().map(|request| rule([condition(1, SeccompCmpOp::Eq, *request)?]));
    refused.insert(libc::SYS_ioctl, injection.collect::<Result<_, _>>()?);

    let absent = ABSENT.iter().map(|nr| (*nr, Vec::new())).collect();
    let mut sockets = BTreeMap::from([(libc::SYS_socket, socket_rules(unix)?)]);
    if unix == UnixSockets::Refused {
        sockets.insert(libc::SYS_socketpair, pair_rules()?);
    }

    let mut programs =
        vec![compile(refused, libc::EPERM)?, compile(absent, libc::ENOSYS)?, compile(sockets, libc::EAFNOSUPPORT)?];
    if cfg!(target_arch = "x86_64") {
        programs.push(refuse_x32());
    }
    Ok(programs)
}

/// Only internet sockets, Unix sockets where allowed, and the netlink family that lists interfaces and routes.
fn socket_rules(unix: UnixSockets) -> Result<Vec<SeccompRule>, String> {
    let mut families = vec![libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];
    if unix == UnixSockets::Allowed {
        families.push(libc::AF_UNIX);
    }
    let others = families.iter().map(|family| condition(0, SeccompCmpOp::Ne, *family as u64));
    let other_family = rule(others.collect::<Result<Vec<_>, _>>()?)?;
    let other_netlink = rule([
        condition(0, SeccompCmpOp::Eq, libc::AF_NETLINK as u64)?,
        condition(2, SeccompCmpOp::Ne, libc::NETLINK_ROUTE as u64)?,
    ])?;
    Ok(vec![other_family, other_netlink])
}

/// Either end of a pair of datagram sockets can be connected anew, to any abstract socket of the host. The kernel makes
/// a datagram socket of a raw one, too. Pairs of streams stay: they are what programs talk to their children by.
fn pair_rules() -> Result<Vec<SeccompRule>, String> {
    /// The other bits of a type are flags.
    const TYPE_MASK: u64 = 0xf;
    let types = [libc::SOCK_DGRAM, libc::SOCK_RAW];
    types.iter().map(|kind| rule([condition(1, SeccompCmpOp::MaskedEq(TYPE_MASK), *kind as u64)?])).collect()
}

fn condition(argument: u8, operator: SeccompCmpOp, value: u64) -> Result<SeccompCondition, String> {
    // The kernel looks at the lower half of these arguments only; so must the filter, or the upper half would hide them.
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, value).map_err(|err| err.to_string())
}

fn rule(conditions: impl Into<Vec<SeccompCondition>>) -> Result<SeccompRule, String> {
    SeccompRule::new(conditions.into()).map_err(|err| err.to_string())
}

fn compile(rules: BTreeMap<i64, Vec<SeccompRule>>, errno: i32) -> Result<BpfProgram, String> {
    let architecture = std::env::consts::ARCH.try_into().map_err(|_| "no filter for this processor".to_owned())?;
    SeccompFilter::new(rules, SeccompAction::Allow, SeccompAction::Errno(errno as u32), architecture)
        .and_then(TryInto::try_into)
        .map_err(|err| err.to_string())
}

fn refuse_x32() -> BpfProgram {
    let step = |code: u32, jt, jf, k| sock_filter { code: code as u16, jt, jf, k };
    vec![
        // Offset 0 of `seccomp_data` is the number of the system call.
        step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
        step(libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K, 0, 1, X32_BIT),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_filter_compiles() {
        for unix in [UnixSockets::Allowed, UnixSockets::Refused] {
            assert!(programs(unix).unwrap().iter().all(|program| !program.is_empty()));
        }
    }
}
