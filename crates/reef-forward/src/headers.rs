//! Which headers pass, in both directions. Deny-lists: what is not named here travels unchanged.

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{self, CONNECTION, HOST, TE},
};

/// Meaningful for one connection only (RFC 9110 section 7.6.1, RFC 9112 section 6.1, and the older names in use).
const HOP_BY_HOP: &[&str] = &[
    "connection",
    "keep-alive",
    "proxy-connection",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "transfer-encoding",
    "upgrade",
];

/// The hub's own, or claims about where the request came from that only the hub could make.
const REQUEST_DENIED: &[&str] = &[
    "authorization",
    // A browser sends the cookies of everything on this host name, whatever its port. None of them is the agent's: it
    // cannot set any here.
    "cookie",
    "forwarded",
    "x-real-ip",
    crate::selector::SELECTOR_HEADER,
    // The hub sends `100 Continue` itself as soon as the body is wanted.
    "expect",
];

// The gateway treats its peer as local, with full rights, only while no forwarding header is present: one that a client
// invents would change what the hub may do there, and for the same reason the hub adds none of its own.
const REQUEST_DENIED_PREFIXES: &[&str] = &["x-forwarded-", "x-openclaw-"];

/// An agent's bytes are served on the hub's own origin here. What would act on that origin, rather than on the one
/// response, is not for an agent to say.
const RESPONSE_DENIED: &[&str] = &[
    // State of the origin: cookies, storage, service workers, transport, reporting, login status.
    "set-cookie",
    "set-cookie2",
    "set-login",
    "clear-site-data",
    "service-worker-allowed",
    "strict-transport-security",
    "alt-svc",
    "nel",
    "report-to",
    "reporting-endpoints",
    "content-security-policy-report-only",
    "accept-ch",
    "critical-ch",
    "origin-agent-cluster",
    // Who else may read the hub's origin.
    "access-control-allow-origin",
    "access-control-allow-credentials",
    "access-control-allow-headers",
    "access-control-allow-methods",
    "access-control-expose-headers",
    "access-control-allow-private-network",
    // Requests that the browser makes by itself.
    "refresh",
    "link",
    "speculation-rules",
    "sourcemap",
    "x-sourcemap",
    // A password prompt in the hub's name.
    "www-authenticate",
];

/// Destinations of which the browser would run the answer as code of the page that asks.
const ACTIVE_DESTINATIONS: &[&str] =
    &["script", "worker", "sharedworker", "serviceworker", "audioworklet", "paintworklet", "xslt"];

/// Whether the browser wants to run the answer as code on the hub's origin, which is never the agent's to give.
pub(crate) fn wants_code(headers: &HeaderMap) -> bool {
    headers.contains_key("service-worker")
        || headers
            .get_all("sec-fetch-dest")
            .iter()
            .any(|value| value.to_str().map_or(true, |text| ACTIVE_DESTINATIONS.contains(&text)))
}

/// Makes the headers of a person's request fit for an instance.
pub(crate) fn to_upstream(headers: &mut HeaderMap, host: HeaderValue, request_id: &str) {
    let trailers = lists(headers, &TE, "trailers");
    remove_hop_by_hop(headers);
    let denied: Vec<HeaderName> = headers
        .keys()
        .filter(|name| REQUEST_DENIED_PREFIXES.iter().any(|prefix| name.as_str().starts_with(prefix)))
        .cloned()
        .collect();
    REQUEST_DENIED.iter().for_each(|name| drop(headers.remove(*name)));
    denied.iter().for_each(|name| drop(headers.remove(name)));
    headers.insert(HOST, host);
    if trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
    if let Ok(id) = HeaderValue::from_str(request_id) {
        headers.insert("x-request-id", id);
    }
}

/// Makes the headers of an agent's response fit for the hub's own origin.
pub(crate) fn to_client(headers: &mut HeaderMap) {
    remove_hop_by_hop(headers);
    RESPONSE_DENIED.iter().for_each(|name| drop(headers.remove(*name)));
    // A document opened from here gets an opaque origin and no scripts: it can neither read nor call the hub.
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert("cross-origin-resource-policy", HeaderValue::from_static("same-origin"));
}

/// Whether a comma-separated header names `token`, in any case.
pub(crate) fn lists(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|text| text.split(',')).any(|part| part.trim().eq_ignore_ascii_case(token))
}

/// Removes what concerns one connection only, including what `Connection` names.
pub(crate) fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(','))
        .filter_map(|part| part.trim().parse().ok())
        .collect();
    HOP_BY_HOP.iter().for_each(|name| drop(headers.remove(*name)));
    named.iter().for_each(|name| drop(headers.remove(name)));
}

#[cfg(test)]
mod tests;
