//! stub
use std::path::Path;
#[derive(Debug, clap::Args)]
pub(crate) struct StartArgs {}
pub(crate) fn run(_program: &Path, _args: &StartArgs) -> anyhow::Result<()> { Ok(()) }
