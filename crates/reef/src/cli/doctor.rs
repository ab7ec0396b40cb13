//! `reef doctor`: what this machine and the hub can do, and what is missing.

use reef_types::Enforcement;
use serde::Deserialize;

use super::{
    Globals,
    client::{self, Client},
    failure::Failure,
    instances::limit_table,
    output,
};

#[derive(Deserialize)]
struct System {
    version: String,
    checks: Vec<Check>,
    limits: Vec<Enforcement>,
}

#[derive(Deserialize)]
struct Check {
    name: String,
    ok: bool,
    message: String,
}

/// # Errors
/// `Failed` when something that is needed is missing, `Unavailable` when no hub runs.
pub(crate) async fn run(globals: &Globals) -> Result<(), Failure> {
    let client = Client::new(globals)?;
    let document = match client.get("/api/system").await {
        Ok(document) => document,
        Err(failure) => {
            explain(globals, &client);
            return Err(failure);
        }
    };
    let system: System = client::read(document.clone())?;
    let missing: Vec<&str> = system.checks.iter().filter(|check| !check.ok).map(|check| check.name.as_str()).collect();
    output::document(globals.output, &document, || {
        let rows = system.checks.iter().map(|check| {
            [check.name.clone(), if check.ok { "ok" } else { "missing" }.to_owned(), check.message.clone()]
        });
        let checks = output::table(["CHECK", "STATE", "DETAIL"], rows);
        let limits = limit_table(system.limits.iter().map(|l| (l.limit.clone(), l.enforced, l.reason.clone())));
        Ok(format!("reef {}\n\n{checks}\n{limits}", system.version))
    })?;
    if missing.is_empty() { Ok(()) } else { Err(Failure::Failed(format!("not in order: {}", missing.join(", ")))) }
}

/// Says what can be seen without a hub.
fn explain(globals: &Globals, client: &Client) {
    let Some(data_dir) = globals.data_dir().filter(|_| client.is_local()) else { return };
    let shown = data_dir.display();
    if !data_dir.exists() {
        eprintln!("There is no data directory {shown} yet; the first `reef up` makes it.");
    } else if data_dir.join("run/hub.sock").exists() {
        eprintln!("{shown} holds the socket of a hub, but it does not answer.");
    } else {
        eprintln!("{shown} is there, but no hub is running on it.");
    }
}
