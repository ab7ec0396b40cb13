//! Figures for monitoring, in the text format of OpenMetrics 1.0.

use std::{collections::BTreeMap, fmt::Write};

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::header;
use reef_auth::Action;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    app::instance,
    http::{context::Context, error::Outcome},
    hub::Hub,
};

const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

pub(super) fn routes() -> OpenApiRouter<Hub> {
    OpenApiRouter::new().routes(routes!(metrics))
}

/// Figures for monitoring. Needs the right to read the system; scrape it with an API token of the scope `read`.
#[utoipa::path(get, path = "/metrics", operation_id = "metrics", tag = "Health", responses(
    (status = 200, content_type = "application/openmetrics-text", body = String), (status = "4XX", body = reef_types::error::ErrorBody)
))]
async fn metrics(State(hub): State<Hub>, ctx: Context) -> Outcome<Response> {
    ctx.allow(Action::SystemRead)?;
    let mut phases: BTreeMap<&str, u64> = BTreeMap::new();
    let mut usage = [0; 3];
    for view in instance::views(&hub.0).await? {
        *phases.entry(view.phase.as_str()).or_default() += 1;
        let tokens = [view.usage.input_tokens, view.usage.output_tokens, view.usage.cost_micros];
        usage.iter_mut().zip(tokens).for_each(|(sum, one)| *sum += one);
    }
    let active = hub.0.forwarder.active();
    let mut text = Text::default();
    text.family("reef_build", "info", "What is running.");
    text.sample("reef_build_info", &format!("version=\"{}\"", env!("CARGO_PKG_VERSION")), 1);
    text.family("reef_uptime_seconds", "gauge", "Time since the hub started.");
    text.sample("reef_uptime_seconds", "", hub.0.started_at.elapsed().as_secs());
    text.family("reef_instances", "gauge", "Instances by phase.");
    for (phase, count) in phases {
        text.sample("reef_instances", &format!("phase=\"{phase}\""), count);
    }
    text.family("reef_forwarded_requests", "gauge", "Requests to instances that are going on.");
    text.sample("reef_forwarded_requests", "", active.requests as u64);
    text.family("reef_forwarded_sockets", "gauge", "WebSockets to instances that are open.");
    text.sample("reef_forwarded_sockets", "", active.sockets as u64);
    text.family("reef_model_tokens", "counter", "Tokens that the instances of today have used since they were made.");
    text.sample("reef_model_tokens_total", "kind=\"input\"", usage[0]);
    text.sample("reef_model_tokens_total", "kind=\"output\"", usage[1]);
    text.family("reef_model_cost_micros", "counter", "What these tokens cost, in millionths of a US dollar.");
    text.sample("reef_model_cost_micros_total", "", usage[2]);
    Ok(([(header::CONTENT_TYPE, CONTENT_TYPE)], text.finish()).into_response())
}

/// Lines of the exposition; label values are words of ours, so that nothing needs escaping.
#[derive(Default)]
struct Text(String);

impl Text {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = write!(self.0, "# TYPE {name} {kind}\n# HELP {name} {help}\n");
    }

    fn sample(&mut self, name: &str, labels: &str, value: u64) {
        let labels = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
        let _ = writeln!(self.0, "{name}{labels} {value}");
    }

    fn finish(mut self) -> String {
        self.0.push_str("# EOF\n");
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::Text;

    #[test]
    fn the_exposition_is_as_openmetrics_wants_it() {
        let mut text = Text::default();
        text.family("reef_instances", "gauge", "Instances by phase.");
        text.sample("reef_instances", "phase=\"running\"", 2);
        text.sample("reef_instances", "", 3);
        assert_eq!(
            text.finish(),
            "# TYPE reef_instances gauge\n# HELP reef_instances Instances by phase.\n\
             reef_instances{phase=\"running\"} 2\nreef_instances 3\n# EOF\n"
        );
    }
}
