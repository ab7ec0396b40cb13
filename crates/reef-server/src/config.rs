//! What an operator can set about a hub.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

/// Settings of one hub.
#[derive(Debug, Clone)]
pub struct HubConfig {
    /// Where people connect. `port 0` is for tests.
    pub listen: SocketAddr,
    /// Folder of the hub's own files: database, vault key, sockets.
    pub data_dir: PathBuf,
    /// How long running requests and streams may go on after the order to stop.
    pub drain: Duration,
    /// How long an agent may take from its start until it is ready.
    pub ready_limit: Duration,
    /// How patient the hub is with instances that misbehave.
    pub pacing: Pacing,
}

/// Waits of the hub's own work. They have one good setting; tests shorten them.
#[derive(Debug, Clone, Copy)]
pub struct Pacing {
    /// Before the start after a crash; doubled with each further crash …
    pub restart_first: Duration,
    /// … up to this.
    pub restart_max: Duration,
    /// Before a step is tried again that failed because the node or its host was away.
    pub step_retry: Duration,
    /// A link that was up and is lost may come back within this time before anybody is told.
    pub link_grace: Duration,
    /// An agent that does not answer for this long is started anew.
    pub degraded_max: Duration,
    /// How long a look at the hub's parts is good for: probing a driver builds a whole sandbox, and anybody may ask.
    pub probe_every: Duration,
}

impl Default for Pacing {
    fn default() -> Self {
        Self {
            restart_first: Duration::from_secs(1),
            restart_max: Duration::from_secs(120),
            step_retry: Duration::from_secs(3),
            link_grace: Duration::from_secs(10),
            degraded_max: Duration::from_secs(180),
            probe_every: Duration::from_secs(5),
        }
    }
}

impl HubConfig {
    /// Time for streams to end when the hub stops.
    pub const DRAIN: Duration = Duration::from_secs(20);
    /// A busy machine with three agents starting at once needed 81 s.
    pub const READY_LIMIT: Duration = Duration::from_secs(240);

    /// A hub with the default limits.
    pub fn new(data_dir: PathBuf, listen: SocketAddr) -> Self {
        Self { listen, data_dir, drain: Self::DRAIN, ready_limit: Self::READY_LIMIT, pacing: Pacing::default() }
    }
}
