//! The runtime of hub and node: both wait most of the time, so few threads do.

use std::{io, num::NonZero, thread};

use tokio::runtime::{Builder, Runtime};

/// Threads that serve; more of them would only take turns on what a hub of one machine has to do.
const WORKERS_MAX: usize = 2;
/// Threads for what blocks: files, the database's readers, password hashes.
const BLOCKING_MAX: usize = 16;

pub(crate) fn server() -> io::Result<Runtime> {
    // Where only one cpu is allowed, a second thread would make each request wait for a switch.
    let cpus = thread::available_parallelism().map_or(1, NonZero::get);
    Builder::new_multi_thread()
        .worker_threads(cpus.min(WORKERS_MAX))
        .max_blocking_threads(BLOCKING_MAX)
        .enable_all()
        .build()
}
