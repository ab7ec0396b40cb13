//! A node behind its socket, with a fake driver and a fake installer.

mod calls;
mod conformance;
mod fixture;
mod kills;
mod restarts;
mod versions;
