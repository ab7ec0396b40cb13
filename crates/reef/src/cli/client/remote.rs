//! The way to a hub by URL, with a token. The token is read from the environment only: a command line is visible to every
//! user of the machine.

use std::{env, time::Duration};

use futures_util::{StreamExt, TryStreamExt};
use reqwest::{Url, redirect};
use secrecy::{ExposeSecret, SecretString};

use super::{Answer, Call};
use crate::cli::failure::Failure;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

pub(crate) struct Remote {
    http: reqwest::Client,
    /// Without a slash at the end.
    base: String,
    token: Option<SecretString>,
}

impl Remote {
    /// # Errors
    /// `Usage` for what is no URL of a hub, and for a token that would cross a network unencrypted.
    pub(super) fn new(url: &str) -> Result<Self, Failure> {
        let parsed = Url::parse(url).map_err(|source| Failure::Usage(format!("`{url}` is no URL: {source}")))?;
        let loopback = is_loopback(&parsed);
        let token = env::var("REEF_TOKEN").ok().filter(|token| !token.is_empty()).map(SecretString::from);
        match parsed.scheme() {
            "https" => {}
            "http" if loopback || token.is_none() => {}
            "http" => {
                return Err(Failure::Usage(format!(
                    "the token would cross the network unencrypted to {url}: use https, or a tunnel to a local port"
                )));
            }
            scheme => return Err(Failure::Usage(format!("`{scheme}` is not a way to reach a hub: use https"))),
        }
        // Whoever runs the program may have chosen a provider already; that one is as good.
        let _already_chosen = rustls::crypto::ring::default_provider().install_default();
        let mut http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            // A redirect would carry the token to a place that nobody named.
            .redirect(redirect::Policy::none())
            .user_agent(concat!("reef/", env!("CARGO_PKG_VERSION")));
        if loopback {
            http = http.no_proxy();
        }
        let http = http.build().map_err(|source| Failure::Failed(format!("cannot make connections: {source}")))?;
        Ok(Self { http, base: url.trim_end_matches('/').to_owned(), token })
    }

    pub(super) fn base(&self) -> &str {
        &self.base
    }

    pub(super) async fn call(&self, call: Call) -> Result<Answer, Failure> {
        let mut request = self.http.request(call.method, format!("{}{}", self.base, call.path));
        for (name, value) in call.headers {
            request = request.header(name, value);
        }
        if let Some(token) = &self.token {
            request = request.bearer_auth(token.expose_secret());
        }
        if let Some(body) = &call.body {
            request = request.json(body);
        }
        let response = request.send().await.map_err(|source| self.unreachable(&source))?;
        let status = response.status().as_u16();
        let body = response
            .bytes_stream()
            .map_err(|source| Failure::Unavailable(format!("the connection to the hub broke off: {source}")));
        Ok(Answer { status, body: body.boxed() })
    }

    fn unreachable(&self, source: &reqwest::Error) -> Failure {
        let cause = std::iter::successors(Some(source as &dyn std::error::Error), |cause| cause.source()).last();
        let cause = cause.map(ToString::to_string).unwrap_or_default();
        Failure::Unavailable(format!("cannot reach the hub at {}: {cause}", self.base))
    }
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || host.ends_with(".localhost")
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}
