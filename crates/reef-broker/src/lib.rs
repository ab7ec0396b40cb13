//! The language-model gateway for instances: each has a door of its own and a virtual key that opens nothing else; the
//! real keys stay here.
//!
//! Bytes of an answer pass through as they come; only what they say about usage is read on the way. It sees no database
//! and no HTTP framework: providers come in as a snapshot, usage goes out through a trait.

mod broker;
mod call;
mod echo;
mod envelope;
mod limits;
mod meter;
mod provider;
mod request;
mod serve;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod upstream;
mod usage;

pub use broker::{Broker, Tenant};
pub use limits::BrokerLimits;
pub use meter::UsageSink;
pub use provider::{BaseUrl, BaseUrlError, Provider, ProviderKind, ProviderTable};
pub use serve::ServeHandle;
