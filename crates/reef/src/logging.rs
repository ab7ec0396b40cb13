//! Logs go to standard error: readable for people, JSON with `REEF_LOG_FORMAT=json`. `REEF_LOG` chooses what.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;

pub(crate) fn init() {
    let filter = EnvFilter::try_from_env("REEF_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    if std::env::var("REEF_LOG_FORMAT").is_ok_and(|format| format == "json") {
        builder.json().init();
    } else {
        builder.with_target(false).with_ansi(io::stderr().is_terminal()).init();
    }
}
