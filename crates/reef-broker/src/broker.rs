//! What all doors share, and what tells one door from another.

use std::{fmt, sync::Arc};

use arc_swap::ArcSwap;
use reef_types::InstanceId;
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;
use tokio::net::TcpListener;

use crate::{BrokerLimits, ProviderTable, ServeHandle, UsageSink, serve, upstream::Upstream};

/// Whose door it is.
#[derive(Clone)]
pub struct Tenant {
    pub instance: InstanceId,
    /// The instance's virtual key.
    pub key: SecretString,
}

impl fmt::Debug for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tenant").field("instance", &self.instance).finish_non_exhaustive()
    }
}

impl Tenant {
    pub(crate) fn owns(&self, key: &[u8]) -> bool {
        // An empty key opens nothing, also not a door that was given none by mistake.
        let own = self.key.expose_secret().as_bytes();
        !own.is_empty() && bool::from(own.ct_eq(key))
    }
}

/// The model gateway. Cheap to clone.
#[derive(Clone)]
pub struct Broker {
    pub(crate) shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) limits: BrokerLimits,
    pub(crate) providers: Arc<ArcSwap<ProviderTable>>,
    pub(crate) sink: Arc<dyn UsageSink>,
    pub(crate) upstream: Upstream,
}

impl Broker {
    /// A broker without a door yet. `providers` may be replaced at any time; calls in progress keep what they started with.
    pub fn new(limits: BrokerLimits, providers: Arc<ArcSwap<ProviderTable>>, sink: Arc<dyn UsageSink>) -> Self {
        let upstream = Upstream::new(limits.connect);
        Self { shared: Arc::new(Shared { limits, providers, sink, upstream }) }
    }

    /// Opens a door for one instance. Must be called inside the runtime that is to serve it.
    pub fn serve(&self, listener: TcpListener, tenant: Tenant) -> ServeHandle {
        serve::serve(self.shared.clone(), listener, tenant)
    }
}

impl fmt::Debug for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Broker").field("limits", &self.shared.limits).finish_non_exhaustive()
    }
}
