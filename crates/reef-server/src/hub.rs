//! The hub as a whole: its long-lived parts, how they start and how they end.

use std::{collections::HashMap, fmt, sync::Arc};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use reef_broker::{Broker, BrokerLimits, ProviderTable};
use reef_driver::{AgentKind, Driver, VersionStore};
use reef_forward::{ForwardLimits, Forwarder, Routes};
use reef_store::{Store, StoreError};
use reef_types::{InstanceId, instance::UsageView};
use tokio::time::Instant;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    app::{job::JobDesk, system::Probed},
    bus::Bus,
    config::HubConfig,
    http::{context::Attempts, known::Known, origin::OwnOrigins, revoke::Revocations},
    runtime::Runtimes,
    tasks,
};

/// What the binary puts into a hub.
pub struct HubParts {
    pub config: HubConfig,
    pub store: Store,
    pub drivers: Vec<Arc<dyn Driver>>,
    pub versions: Arc<dyn VersionStore>,
    /// The first one is what an instance gets when none is named.
    pub agents: Vec<Arc<dyn AgentKind>>,
}

impl fmt::Debug for HubParts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HubParts").field("config", &self.config).finish_non_exhaustive()
    }
}

/// Why a hub did not start.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    #[error("the database could not be read")]
    Store(#[from] StoreError),
}

/// Everything that handlers and tasks share.
pub(crate) struct Inner {
    pub(crate) config: HubConfig,
    pub(crate) store: Store,
    pub(crate) drivers: HashMap<&'static str, Arc<dyn Driver>>,
    pub(crate) versions: Arc<dyn VersionStore>,
    pub(crate) agents: HashMap<&'static str, Arc<dyn AgentKind>>,
    pub(crate) default_agent: &'static str,
    pub(crate) bus: Bus,
    pub(crate) runtimes: Arc<Runtimes>,
    pub(crate) routes: Arc<Routes>,
    pub(crate) forwarder: Arc<Forwarder>,
    pub(crate) broker: Arc<Broker>,
    pub(crate) providers: Arc<ArcSwap<ProviderTable>>,
    pub(crate) jobs: JobDesk,
    pub(crate) usage: Mutex<HashMap<InstanceId, UsageView>>,
    /// When each instance last did some work.
    pub(crate) activity: Mutex<HashMap<InstanceId, jiff::Timestamp>>,
    pub(crate) attempts: Attempts,
    pub(crate) origins: OwnOrigins,
    pub(crate) revocations: Revocations,
    pub(crate) known: Known,
    pub(crate) probed: Probed,
    /// Held from reading the store to telling others what was read: nobody is told an older state after a newer one.
    pub(crate) telling: tokio::sync::Mutex<()>,
    pub(crate) started_at: Instant,
    /// Cancelled when the hub is told to stop: nothing new is begun.
    pub(crate) stopping: CancellationToken,
    /// Set when no model call runs any more, so that none will be counted.
    pub(crate) drained: CancellationToken,
    pub(crate) tasks: TaskTracker,
}

/// A running hub. Cheap to clone.
#[derive(Clone)]
pub struct Hub(pub(crate) Arc<Inner>);

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hub")
    }
}

impl Hub {
    /// Reads the store and starts the reconcilers. Serving is a separate step: see [`Hub::router`].
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn start(parts: HubParts) -> Result<Hub, HubError> {
        let HubParts { config, store, drivers, versions, agents } = parts;
        // Ids that are handed out belong to this run of the hub: cursors of an earlier run mean "start over".
        let epoch = uuid::Uuid::now_v7().simple().to_string();
        let runtimes = Arc::new(Runtimes::new(epoch.clone()));
        let providers = Arc::new(ArcSwap::from_pointee(crate::app::provider::table(&store).await?));
        let (usage_sink, usage_feed) = tasks::usage::channel();
        let usage = store.usage_totals().await?;
        let inner = Arc::new(Inner {
            origins: OwnOrigins::of(config.listen),
            drivers: drivers.into_iter().map(|d| (d.kind(), d)).collect(),
            default_agent: agents.first().map_or("", |agent| agent.kind()),
            agents: agents.into_iter().map(|a| (a.kind(), a)).collect(),
            versions,
            bus: Bus::new(epoch),
            routes: Arc::new(Routes::default()),
            forwarder: Arc::new(Forwarder::new(runtimes.clone(), ForwardLimits::default())),
            runtimes,
            broker: Arc::new(Broker::new(BrokerLimits::default(), providers.clone(), Arc::new(usage_sink))),
            providers,
            jobs: JobDesk::default(),
            usage: Mutex::new(usage),
            activity: Mutex::default(),
            attempts: Attempts::default(),
            revocations: Revocations::default(),
            known: Known::default(),
            probed: Probed::default(),
            telling: tokio::sync::Mutex::default(),
            started_at: Instant::now(),
            stopping: CancellationToken::new(),
            drained: CancellationToken::new(),
            tasks: TaskTracker::new(),
            config,
            store,
        });
        crate::app::job::settle_interrupted(&inner).await?;
        tasks::usage::spawn(inner.clone(), usage_feed);
        tasks::instance::spawn(inner.clone());
        tasks::housekeeping::spawn(inner.clone());
        Ok(Hub(inner))
    }

    /// The address that people use, for messages.
    pub fn listen_addr(&self) -> std::net::SocketAddr {
        self.0.config.listen
    }

    /// A one-time setup code, when nobody owns this hub yet. Valid for 15 minutes; an older one dies with it.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn setup_code(&self) -> Result<Option<secrecy::SecretString>, HubError> {
        Ok(crate::app::setup::new_code(&self.0).await?)
    }

    /// Ends the hub's work: nothing new is begun, what runs may end within the drain limit. Instances are left alone. The
    /// servers end by themselves meanwhile; call [`Hub::close`] when they have.
    pub async fn shutdown(&self) {
        let inner = &self.0;
        inner.stopping.cancel();
        let cut = inner.forwarder.drain(inner.config.drain).await;
        if cut.requests + cut.sockets > 0 {
            tracing::warn!(cut.requests, cut.sockets, "some connections to instances were cut");
        }
        inner.tasks.close();
        // Doors drain before they are dropped, so that an answer that a model is giving reaches the agent whole.
        tasks::door::drain_all(inner).await;
        inner.drained.cancel();
        inner.runtimes.clear();
        inner.tasks.wait().await;
    }

    /// Closes the database, once nothing asks for it any more.
    pub async fn close(&self) {
        self.0.store.close().await;
    }

    /// Stops every instance, for throw-away use.
    pub async fn stop_instances(&self) {
        tasks::instance::stop_all(&self.0).await;
    }
}
