//! `reef open`.

use std::{
    env,
    process::{Command, Stdio},
};

use serde_json::Value;

use super::{client::Client, failure::Failure, output, selector::Selector};

/// Where a hub listens when nothing else was said.
const DEFAULT_URL: &str = "http://127.0.0.1:7700";

pub(crate) async fn run(client: &Client, name: &Selector) -> Result<(), Failure> {
    let instance = client.get(&name.path("")).await?;
    let name = instance.get("name").and_then(Value::as_str).unwrap_or_default();
    let base = match client.url() {
        Some(url) => url.to_owned(),
        None => {
            let system = client.get("/api/system").await?;
            system.get("url").and_then(Value::as_str).unwrap_or(DEFAULT_URL).trim_end_matches('/').to_owned()
        }
    };
    let url = format!("{base}/i/{name}");
    output::print(&format!("{url}\n"))?;
    browse(&url);
    Ok(())
}

/// Opens the page where there is a desktop; elsewhere the printed address is all there is.
fn browse(url: &str) {
    if env::var_os("DISPLAY").is_none() && env::var_os("WAYLAND_DISPLAY").is_none() {
        return;
    }
    let opener =
        Command::new("xdg-open").arg(url).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    if opener.is_err() {
        eprintln!("no program to open it was found: open the address in a browser");
    }
}
