//! The uids of this machine that Reef uses where root started it; the gid is always the same number. No account has them:
//! the range is above every one that distributions and systemd hand out (its containers end at 1879048191), and below the
//! end of what is safe as a signed number.

/// The hub; owns the folders that it writes.
pub const HUB_HOST_UID: u32 = 1_899_999_997;
/// Every short-lived task of an installer.
pub const TASK_HOST_UID: u32 = 1_899_999_998;
/// A probe; owns nothing.
pub const PROBE_HOST_UID: u32 = 1_899_999_999;
/// The first of the instances; each has one of its own, from here on.
pub const INSTANCE_HOST_UID_FIRST: u32 = 1_900_000_000;
/// How many there are for instances, which is also the most instances of one machine.
pub const INSTANCE_HOST_UIDS_MAX: u32 = 65_536;
