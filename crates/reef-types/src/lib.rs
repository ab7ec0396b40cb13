//! The vocabulary of Reef: ids, the instance model, chat items, quantities and error codes.
//!
//! Everything here is plain data. This crate does no IO, knows no database, no HTTP server and no agent kind, so that
//! every other crate may depend on it.

pub mod chat;
pub mod error;
pub mod id;
pub mod instance;
pub mod job;
pub mod name;
pub mod quantity;
pub mod usage;

pub use error::{ApiError, ErrorCode};
pub use id::{AuditId, InstanceId, JobId, SessionId, TokenId, UserId};
pub use instance::{
    AgentRef, Availability, Condition, Desired, Egress, Enforcement, GatewayState, InstanceSpec, InstanceStatus,
    InstanceView, Phase, ResourceReport, Resources,
};
pub use job::{Job, JobKind, JobState, Progress};
pub use name::InstanceName;
