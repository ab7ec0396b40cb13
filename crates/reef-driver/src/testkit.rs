//! Fakes of the seams, and the promises that every driver must keep.
//!
//! For tests only (feature `testkit`): the fakes keep what they are told for ever and fail as they are scripted to. The
//! conformance suite runs against the fake too, so that a test with the fake proves something about the real ones.

pub mod conformance;
mod fake_driver;
mod fake_program;
mod fake_versions;
mod program;

pub use fake_driver::{Call, Failure, FakeDriver, Verb};
pub use fake_versions::FakeVersions;
pub use program::Program;
