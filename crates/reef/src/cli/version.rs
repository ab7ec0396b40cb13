//! `reef version`: of this program, and of the hub when one answers.

use serde_json::{Value, json};

use super::{Globals, client::Client, failure::Failure, output};

pub(crate) async fn run(globals: &Globals) -> Result<(), Failure> {
    let hub = match Client::new(globals) {
        Ok(client) => client.get("/health").await.ok(),
        Err(_) => None,
    };
    let hub = hub.as_ref().and_then(|health| health.get("version")).and_then(Value::as_str);
    let document = json!({ "version": env!("CARGO_PKG_VERSION"), "hub": hub });
    output::document(globals.output, &document, || {
        Ok(format!("reef {}\nhub  {}\n", env!("CARGO_PKG_VERSION"), hub.unwrap_or("not running")))
    })
}
