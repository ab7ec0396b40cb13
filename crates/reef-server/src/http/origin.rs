//! Which host names are ours, and which pages may send writes.

use std::net::SocketAddr;

use axum::body::Body;
use http::{Method, Request, header};
use reef_auth::{Actor, Via, origin};
use reef_types::{ApiError, ErrorCode};

use super::listener::Peer;
use crate::hub::Inner;

/// The names under which browsers reach this hub. A foreign name at our address is a rebinding attack.
pub(crate) struct OwnOrigins {
    hosts: Vec<String>,
    origins: Vec<String>,
}

impl OwnOrigins {
    pub(crate) fn of(listen: SocketAddr) -> Self {
        let port = listen.port();
        let mut hosts = vec![format!("127.0.0.1:{port}"), format!("localhost:{port}"), format!("[::1]:{port}")];
        if !listen.ip().is_loopback() && !listen.ip().is_unspecified() {
            hosts.push(listen.to_string());
        }
        let origins = hosts.iter().map(|host| format!("http://{host}")).collect();
        Self { hosts, origins }
    }

    pub(crate) fn list(&self) -> &[String] {
        &self.origins
    }
}

/// Refuses requests for a host that is not ours.
pub(crate) fn check_host(hub: &Inner, request: &Request<Body>) -> Result<(), ApiError> {
    if matches!(request.extensions().get::<Peer>(), Some(Peer::Local { .. })) {
        return Ok(());
    }
    let own = |host: &str| hub.origins.hosts.iter().any(|own| own.eq_ignore_ascii_case(host));
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let host = hosts.next().and_then(|value| value.to_str().ok()).filter(|_| hosts.next().is_none());
    // A target with an authority of its own goes before the header (RFC 9112 section 3.2.2); here they have to agree.
    let target = request.uri().authority().is_none_or(|authority| own(authority.as_str()));
    if target && host.is_some_and(own) {
        return Ok(());
    }
    let message = format!("this hub is not known by that host name; use http://{}", hub.config.listen);
    Err(ApiError::new(ErrorCode::InvalidRequest, message))
}

/// Refuses what another site's page makes a browser send with a person's cookie, and sign-ins on behalf of somebody else.
pub(crate) fn check(hub: &Inner, actor: Option<&Actor>, request: &Request<Body>) -> Result<(), ApiError> {
    let text = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    let (origin, site) = (text("origin"), text("sec-fetch-site"));
    let upgrade = request.headers().contains_key(header::UPGRADE);
    let session = matches!(actor, Some(Actor::Owner { via: Via::Session(_), .. }));
    if session && site.is_some_and(|site| matches!(site, "same-site" | "cross-site")) {
        // Cookies ignore ports: a page of another program on this machine could ask with it, though not read the answer.
        return Err(ApiError::new(ErrorCode::Forbidden, "the request comes from a page of another site"));
    }
    let verdict = if upgrade && (session || origin.is_some()) {
        origin::check_upgrade(origin, site, hub.origins.list())
    } else if matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS) {
        Ok(())
    } else if session || origin.is_some() {
        origin::check_write(origin, site, hub.origins.list())
    } else {
        // No browser and no cookie: there is nothing that a foreign page could have borrowed.
        Ok(())
    };
    verdict.map_err(|err| ApiError::new(ErrorCode::Forbidden, err.to_string()))
}
