//! `reef ls` and `reef show`.

use jiff::Timestamp;
use reef_types::{InstanceView, quantity};
use serde::Deserialize;
use serde_json::Value;

use super::{
    client::{self, Client},
    failure::Failure,
    output::{self, Format},
    selector::Selector,
};

pub(crate) async fn list(client: &Client, format: Format) -> Result<(), Failure> {
    #[derive(Deserialize)]
    struct List {
        instances: Vec<InstanceView>,
    }
    let document = client.get("/api/instances").await?;
    output::document(format, &document, || {
        let List { instances } = client::read(document.clone())?;
        if instances.is_empty() {
            return Ok("There is no instance yet: reef create NAME\n".to_owned());
        }
        let now = Timestamp::now();
        let rows = instances.into_iter().map(|instance| {
            let note = trouble(&instance);
            let model = instance.model.unwrap_or_else(|| "default".to_owned());
            [
                instance.name.to_string(),
                instance.phase.as_str().to_owned(),
                format!("{} {}", instance.agent.kind, instance.agent.version),
                model,
                age(now, instance.created_at),
                note,
            ]
        });
        Ok(output::table(["NAME", "PHASE", "AGENT", "MODEL", "AGE", "NOTE"], rows))
    })
}

pub(crate) async fn show(client: &Client, format: Format, name: &Selector) -> Result<(), Failure> {
    let document = client.get(&name.path("")).await?;
    output::document(format, &document, || describe(&document))
}

/// What is known of one instance, for people.
fn describe(document: &Value) -> Result<String, Failure> {
    let instance: InstanceView = client::read(document.clone())?;
    let asked = instance.resources.requested;
    let optional = |time: Option<Timestamp>| time.map_or_else(|| "-".to_owned(), |time| format!("{time:.0}"));
    let facts = [
        ("name", instance.name.to_string()),
        ("display name", instance.display_name.clone().unwrap_or_else(|| "-".to_owned())),
        ("id", instance.id.to_string()),
        ("phase", instance.phase.as_str().to_owned()),
        ("agent", format!("{} {}", instance.agent.kind, instance.agent.version)),
        ("model", instance.model.clone().unwrap_or_else(|| "default".to_owned())),
        ("driver", instance.driver.clone()),
        ("egress", format!("{:?}", instance.egress).to_lowercase()),
        ("memory", quantity::format_bytes(asked.memory_bytes)),
        ("cpus", format!("{}", f64::from(asked.cpus_milli) / 1000.0)),
        ("pids", asked.pids.to_string()),
        ("created", format!("{:.0}", instance.created_at)),
        ("started", optional(instance.started_at)),
        ("last activity", optional(instance.last_activity_at)),
        ("tokens", format!("{} in, {} out", instance.usage.input_tokens, instance.usage.output_tokens)),
        ("labels", instance.labels.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(" ")),
    ];
    let width = facts.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let mut text = String::new();
    for (name, value) in facts.iter().filter(|(_, value)| !value.is_empty()) {
        text += &format!("{name:width$}   {}\n", output::printable(value));
    }
    if !instance.conditions.is_empty() {
        let rows = instance.conditions.into_iter().map(|condition| {
            [
                condition.kind,
                if condition.status { "yes" } else { "no" }.to_owned(),
                condition.reason,
                condition.message,
            ]
        });
        text += &format!("\n{}", output::table(["CONDITION", "HOLDS", "REASON", "MESSAGE"], rows));
    }
    if !instance.resources.enforced.is_empty() {
        let limits = instance.resources.enforced.into_iter().map(|limit| (limit.limit, limit.enforced, limit.reason));
        text += &format!("\n{}", limit_table(limits));
    }
    Ok(text)
}

/// Which limits hold, and how or why not.
pub(crate) fn limit_table(limits: impl Iterator<Item = (String, bool, String)>) -> String {
    let rows = limits.map(|(limit, enforced, reason)| [limit, if enforced { "yes" } else { "no" }.to_owned(), reason]);
    output::table(["LIMIT", "ENFORCED", "HOW, OR WHY NOT"], rows)
}

/// Why an instance is not as it was asked to be, if so.
fn trouble(instance: &InstanceView) -> String {
    use reef_types::Phase::{Degraded, Failed, Pending, Preparing, Starting};
    if !matches!(instance.phase, Degraded | Failed | Pending | Preparing | Starting) {
        return String::new();
    }
    instance.conditions.iter().rfind(|condition| !condition.status).map_or_else(String::new, |c| c.message.clone())
}

fn age(now: Timestamp, then: Timestamp) -> String {
    let seconds = now.duration_since(then).as_secs().max(0);
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..86_400 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages() {
        let then: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        for (now, expect) in [
            ("2025-12-31T23:59:00Z", "0s"),
            ("2026-01-01T00:00:59Z", "59s"),
            ("2026-01-01T00:01:00Z", "1m"),
            ("2026-01-01T23:59:59Z", "23h"),
            ("2026-01-31T00:00:00Z", "30d"),
        ] {
            assert_eq!(age(now.parse().unwrap(), then), expect);
        }
    }
}
