//! The walls around an agent: namespaces, a root file system of its own, Landlock, seccomp and cgroups, put up by a
//! separate launcher process (the *shim*) that stays as door keeper until the agent is gone.
//!
//! The shim is this same binary, executed again: it is single-threaded, so forking and unsharing are legal. It must not
//! know what an agent is, nor link to the control plane: a specification comes in on its standard input and everything
//! else follows from that. This is the only crate with `unsafe` code.

pub mod cgroup;
pub mod error;
pub mod frame;
pub mod hub;
pub mod ids;
pub mod packet;
pub mod process;
pub mod shim;
pub mod spec;

mod init;
mod mounts;
mod sys;
mod walls;

pub use error::{SetupError, Step};
pub use hub::confine_hub;
pub use spec::{
    ExitRecord, InstanceSpec, KeeperError, KeeperReply, KeeperRequest, Limits, Mount, ProgramSpec, Report, RunRecord,
    Secret, ShimSpec, TaskSpec,
};
