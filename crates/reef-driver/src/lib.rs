//! The seam between the control plane and the world: what a driver, a version store and an agent kind must be able to do.
//!
//! Traits and plain values only. The hub sees instances through [`Driver`] and agents through [`AgentKind`]; which ones
//! exist is known to the binary alone.

pub mod agent;
pub mod dial;
pub mod driver;
pub mod error;
#[cfg(feature = "testkit")]
pub mod testkit;
pub mod version;
pub mod workload;

pub use agent::{AgentCredential, AgentError, AgentKind, AgentLink, Handshake, HandshakeError, LinkState, RenderInput};
pub use dial::{BoxIo, Dial};
pub use driver::{
    Capabilities, DataPolicy, Destroyed, Driver, DriverEvent, Exit, Fingerprint, LogLine, LogQuery, LogStream,
    Observed, ProcessState, Usage,
};
pub use error::{DriverError, Reason};
pub use version::{InstallEvent, Task, TaskExit, TaskMount, TaskRunner, VersionInfo, VersionInstaller, VersionStore};
pub use workload::{SecretFile, Workload, WorkloadFile, sandbox_paths};
