//! Fakes of the seams, and the promises that every driver must keep.
//!
//! For tests only (feature `testkit`): the fakes keep what they are told for ever and fail as they are scripted to. The
//! conformance suite runs against the fake too, so that a test with the fake proves something about the real ones.

pub mod conformance;
mod fake_driver;
mod fake_program;
mod fake_versions;
mod fake_world;
mod program;

pub use fake_driver::FakeDriver;
pub use fake_versions::FakeVersions;
pub use fake_world::{Call, Failure, Verb};
pub use program::Program;
