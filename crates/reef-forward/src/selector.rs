//! Which instance a request is for. The one table of instance-scoped and hub-only paths; a selector that cannot be
//! honoured is an error, never a silent fall-through to the hub.

use http::HeaderMap;
use reef_types::{ApiError, ErrorCode, InstanceId, InstanceName};

use crate::path::percent_decode;

/// Header that names the instance; wins over the query.
pub const SELECTOR_HEADER: &str = "x-instance-id";
/// Query parameter that names the instance.
pub const SELECTOR_QUERY: &str = "instanceId";

/// Prefixes below `/api/` that exist once per instance.
const INSTANCE_PREFIXES: &[&str] = &[
    "agentlog",
    "channels",
    "chat",
    "config",
    "crons",
    "events",
    "files",
    "gateway",
    "keys",
    "language",
    "limits",
    "memories",
    "models",
    "server-info",
    "sessions",
    "skills",
    "terminal",
    "tokens",
    "transcribe",
    "tts",
    "usage",
    "version",
    "voice-phrases",
    "workspace",
];

/// Instance prefixes that the hub also has for itself: without a selector they are the hub's.
const SHARED_PREFIXES: &[&str] = &["events", "tokens", "usage"];

/// The gateway WebSocket, the one instance-scoped path outside `/api/`.
const WEBSOCKET_PATH: &str = "/ws";

/// Paths outside `/api/` that answer for the hub and nothing else.
const HUB_PATHS: &[&str] = &["/health", "/healthcheck", "/metrics"];

/// Where a request goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// The hub's own router, with the path as it came.
    Hub,
    /// One instance.
    Instance {
        /// An instance id or name, of valid form; whether it exists is for the caller to find out.
        selector: String,
        /// Path and query relative to the instance, selector removed: `/files/tree?depth=1`. It is what follows
        /// `/api/instances/{id}` in the full form.
        rest: String,
        /// The entry of the table: `files`.
        prefix: &'static str,
    },
}

/// Whether a path relative to an instance (`files/tree`) is one that instances have, built or not.
pub fn is_instance_path(rest: &str) -> bool {
    let first = rest.trim_start_matches('/').split('/').next().unwrap_or_default();
    INSTANCE_PREFIXES.contains(&first)
}

/// Decides whether a request is for the hub or for an instance.
///
/// # Errors
/// `instance_required` for an instance path without a selector, `hub_only_path` for a selector on any other path of the
/// API, `unknown_selector` for a value that is neither id nor name, `invalid_request` for contradicting selectors.
pub fn select(path: &str, headers: &HeaderMap, query: Option<&str>) -> Result<Selection, ApiError> {
    let Some(scope) = scope_of(path) else { return Ok(Selection::Hub) };
    let (from_query, rest_query) = split_query(query.unwrap_or_default())?;
    let from_header = header_selector(headers)?;
    let selector = match (from_header, from_query) {
        (Some(header), Some(query)) if header != query => {
            return Err(ApiError::new(
                ErrorCode::InvalidRequest,
                "the header X-Instance-Id and the query parameter instanceId name different instances; send one of them",
            ));
        }
        (Some(selector), _) | (None, Some(selector)) => Some(selector),
        (None, None) => None,
    };
    match (scope, selector) {
        (Scope::Hub | Scope::Shared(_), None) => Ok(Selection::Hub),
        (Scope::Hub, Some(_)) => Err(ApiError::new(
            ErrorCode::HubOnlyPath,
            "this path belongs to the hub and not to one instance; leave X-Instance-Id and instanceId out",
        )),
        (Scope::Instance(_), None) => Err(ApiError::new(
            ErrorCode::InstanceRequired,
            "this path belongs to one instance; name it with the header X-Instance-Id or the query parameter instanceId",
        )),
        (Scope::Instance(prefix) | Scope::Shared(prefix), Some(selector)) => {
            check_form(&selector)?;
            let path = path.strip_prefix("/api").unwrap_or(path);
            let rest = if rest_query.is_empty() { path.to_owned() } else { format!("{path}?{rest_query}") };
            Ok(Selection::Instance { selector, rest, prefix })
        }
    }
}

enum Scope {
    Hub,
    Instance(&'static str),
    Shared(&'static str),
}

/// `None` for pages and assets, which no selector concerns.
fn scope_of(path: &str) -> Option<Scope> {
    if path == WEBSOCKET_PATH {
        return Some(Scope::Instance("ws"));
    }
    let Some(below) = path.strip_prefix("/api/") else {
        return HUB_PATHS.contains(&path).then_some(Scope::Hub);
    };
    let first = below.split('/').next().unwrap_or_default();
    let Some(prefix) = INSTANCE_PREFIXES.iter().find(|prefix| **prefix == first) else { return Some(Scope::Hub) };
    Some(if SHARED_PREFIXES.contains(prefix) { Scope::Shared(prefix) } else { Scope::Instance(prefix) })
}

fn header_selector(headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    let mut values = headers.get_all(SELECTOR_HEADER).iter();
    let Some(first) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(twice());
    }
    first.to_str().map(|text| Some(text.to_owned())).map_err(|_| unknown())
}

/// Takes the selector out of a query; everything else stays byte for byte.
fn split_query(query: &str) -> Result<(Option<String>, String), ApiError> {
    let mut selector = None;
    let mut rest = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        // A key that hides behind percent-encoding would otherwise travel on to the agent.
        if percent_decode(key).is_none_or(|key| key != SELECTOR_QUERY.as_bytes()) {
            rest.push(pair);
            continue;
        }
        let value = percent_decode(value).and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(unknown)?;
        if selector.replace(value).is_some() {
            return Err(twice());
        }
    }
    Ok((selector, rest.join("&")))
}

fn check_form(selector: &str) -> Result<(), ApiError> {
    let valid = selector.parse::<InstanceId>().is_ok() || selector.parse::<InstanceName>().is_ok();
    if valid { Ok(()) } else { Err(unknown()) }
}

fn unknown() -> ApiError {
    ApiError::new(ErrorCode::UnknownSelector, "the instance selector is neither an instance id nor a name")
}

fn twice() -> ApiError {
    ApiError::new(ErrorCode::InvalidRequest, "the instance is named more than once; name it once")
}

#[cfg(test)]
mod tests;
