//! `reef events`.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    client::Client,
    failure::Failure,
    job::Retry,
    output::{self, Format},
};

pub(crate) async fn run(client: &Client, format: Format) -> Result<(), Failure> {
    let mut last_id: Option<String> = None;
    let mut connected = false;
    let mut retry = Retry::new();
    loop {
        match copy(client, format, &mut last_id, &mut connected, &mut retry).await {
            Ok(()) => {}
            Err(failure) if failure.is_transient() && connected => {}
            Err(failure) => return Err(failure),
        }
        retry.pause().await?;
    }
}

async fn copy(
    client: &Client,
    format: Format,
    last_id: &mut Option<String>,
    connected: &mut bool,
    retry: &mut Retry,
) -> Result<(), Failure> {
    let mut events = client.events("/api/events", last_id.as_deref()).await?;
    *connected = true;
    while let Some(event) = events.next().await? {
        *retry = Retry::new();
        if event.id.is_some() {
            last_id.clone_from(&event.id);
        }
        if event.name == "ping" {
            continue;
        }
        let data: Value = event.parse()?;
        output::record(format, &json!({ "event": event.name, "data": data }), || line(&event.name, &data))?;
    }
    Ok(())
}

/// One event in one line.
fn line(event: &str, data: &Value) -> String {
    let text = |pointer: &str| data.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let what = match event {
        "hello" => text("/version").to_owned(),
        "instance" => format!("{} {}", text("/name"), text("/phase")),
        "instanceRemoved" => text("/name").to_owned(),
        "job" => format!("{} {} {}", text("/kind"), text("/state"), text("/progress/step")),
        _ => data.to_string(),
    };
    let line = format!("{:.0}  {event:15}  {what}", Timestamp::now());
    output::printable(line.trim_end()).into_owned()
}
