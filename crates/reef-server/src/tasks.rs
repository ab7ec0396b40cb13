//! Reconcilers and other background work. They take no input: each pass reads the store and the world again, does the
//! next idempotent step and writes down what it saw, so that the hub may die between any two instructions.

pub(crate) mod agent;
pub(crate) mod door;
pub(crate) mod housekeeping;
pub(crate) mod instance;
pub(crate) mod usage;
