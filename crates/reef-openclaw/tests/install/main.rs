//! Installing versions, against a registry on loopback and with tasks played by the test.

mod download;
mod fake_registry;
mod installer;
mod packages;
