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
}

impl HubConfig {
    /// Time for streams to end when the hub stops.
    pub const DRAIN: Duration = Duration::from_secs(20);
    /// A busy machine with three agents starting at once needed 81 s.
    pub const READY_LIMIT: Duration = Duration::from_secs(240);

    /// A hub with the default limits.
    pub fn new(data_dir: PathBuf, listen: SocketAddr) -> Self {
        Self { listen, data_dir, drain: Self::DRAIN, ready_limit: Self::READY_LIMIT }
    }
}
