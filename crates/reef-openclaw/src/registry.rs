//! A client for the npm registry that this machine is configured to use: finds one exact version, fetches its file.
//!
//! It resolves no ranges and no dependencies, and runs nothing: that is npm's work (see [`crate::install`]).

mod config;
mod download;
mod error;
mod integrity;
mod npmrc;

use std::{collections::BTreeMap, time::Duration};

use futures_util::StreamExt;
use reqwest::{Certificate, Client, NoProxy, Proxy, RequestBuilder, StatusCode, Url, header, redirect};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

pub use config::{Machine, NpmConfig};
pub use download::OnBytes;
pub use error::RegistryError;
pub use integrity::Integrity;

use error::describe;

/// The largest document about a package, in bytes.
const DOCUMENT_BYTES_MAX: usize = 64 << 20;

/// The longest that a document may take in all; package files have only the limit on silence.
const DOCUMENT_TIME_MAX: Duration = Duration::from_secs(60);

/// The short form of a package document: what is needed to install.
const DOCUMENT_TYPES: &str = "application/vnd.npm.install-v1+json; q=1.0, application/json; q=0.8";

/// The host that package files are said to be on even by mirrors; npm replaces it by the configured registry, so do we.
const PUBLIC_HOST: &str = "registry.npmjs.org";

/// Redirects followed for one request.
const REDIRECTS_MAX: usize = 5;

/// How long the registry gets, and how often it is asked.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    pub connect: Duration,
    /// The longest silence, between any two parts of an answer.
    pub idle: Duration,
    /// Tries in a row that may bring nothing.
    pub attempts: u32,
    /// Pause after the first failure; doubled after each further one.
    pub pause: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            idle: Duration::from_secs(30),
            attempts: 4,
            pause: Duration::from_millis(500),
        }
    }
}

impl Timing {
    fn pause(&self, failures: u32) -> Duration {
        self.pause * 2_u32.pow(failures.saturating_sub(1).min(5))
    }
}

/// One package file.
#[derive(Debug, Clone)]
pub struct Tarball {
    /// For people: `openclaw 2026.9.6`.
    pub name: String,
    /// What the registry says about the file's digest, as written there; empty when it gives only the old SHA-1.
    pub sri: String,
    pub integrity: Integrity,
    url: Url,
}

/// The client.
#[derive(Debug)]
pub struct Registry {
    client: Client,
    config: NpmConfig,
    timing: Timing,
}

impl Registry {
    /// A client for the configured registry.
    ///
    /// # Errors
    /// `Config` when proxies or certificates cannot be used.
    pub fn new(config: NpmConfig, timing: Timing) -> Result<Self, RegistryError> {
        let mut client = Client::builder()
            .user_agent(concat!("reef/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(timing.connect)
            .read_timeout(timing.idle)
            // Proxies come from the npm configuration, which looks at the environment itself.
            .no_proxy()
            .redirect(redirect::Policy::custom(|attempt| {
                let secure_before = attempt.previous().iter().all(|url| url.scheme() == "https");
                if attempt.previous().len() > REDIRECTS_MAX || (secure_before && attempt.url().scheme() != "https") {
                    attempt.stop()
                } else {
                    attempt.follow()
                }
            }));
        let (http, https, no_proxy) = config.proxies();
        let no_proxy = || no_proxy.and_then(NoProxy::from_string);
        if let Some(proxy) = http {
            client = client.proxy(proxy_of(proxy, |url| Proxy::http(url))?.no_proxy(no_proxy()));
        }
        if let Some(proxy) = https {
            client = client.proxy(proxy_of(proxy, |url| Proxy::https(url))?.no_proxy(no_proxy()));
        }
        if !config.extra_ca().is_empty() {
            let certificates = Certificate::from_pem_bundle(config.extra_ca().as_bytes()).unwrap_or_default();
            if certificates.is_empty() {
                return Err(RegistryError::Config("`ca` or `cafile` holds no usable certificates".to_owned()));
            }
            client = client.tls_certs_merge(certificates);
        }
        let client = client.build().map_err(|err| RegistryError::Config(describe(err)))?;
        Ok(Self { client, config, timing })
    }

    /// The configuration that this client was made with.
    pub fn config(&self) -> &NpmConfig {
        &self.config
    }

    /// What the registry says about one exact version.
    ///
    /// # Errors
    /// `NotFound` when there is no such version, `Network` after several tries.
    pub async fn lookup(&self, package: &str, version: &str) -> Result<Tarball, RegistryError> {
        let name = format!("{package} {version}");
        let url = self.config.registry().join(package);
        let url = url.map_err(|_| RegistryError::Config(format!("`{package}` is not a package name")))?;
        let body = self.document(&name, &url, || self.not_found(package, version)).await?;
        let document: Document = serde_json::from_slice(&body)
            .map_err(|_| self.network(&name, "its answer is not a package document".to_owned()))?;
        let release = document.versions.get(version).ok_or_else(|| self.not_found(package, version))?;
        let dist = &release.dist;
        let integrity = match &dist.integrity {
            Some(sri) => Integrity::from_sri(sri),
            None => dist.shasum.as_deref().and_then(Integrity::from_shasum),
        };
        let integrity =
            integrity.ok_or_else(|| RegistryError::integrity(&name, "the registry gives no usable digest for it"))?;
        let url = self.tarball_url(&dist.tarball);
        let url = url.ok_or_else(|| self.network(&name, "its address is not an http address".to_owned()))?;
        Ok(Tarball { name, sri: dist.integrity.clone().unwrap_or_default(), integrity, url })
    }

    async fn document(
        &self,
        name: &str,
        url: &Url,
        not_found: impl Fn() -> RegistryError,
    ) -> Result<Vec<u8>, RegistryError> {
        let mut failures = 0;
        loop {
            let request = self.get(url).header(header::ACCEPT, DOCUMENT_TYPES).timeout(DOCUMENT_TIME_MAX);
            let problem = match request.send().await {
                Ok(response) if response.status().is_success() => match body_of(response).await {
                    Ok(body) => return Ok(body),
                    Err(problem) => problem,
                },
                Ok(response) if response.status() == StatusCode::NOT_FOUND => return Err(not_found()),
                Ok(response) if !download::is_transient(response.status()) => {
                    return Err(self.refusal(name, response.status()));
                }
                Ok(response) => format!("it answered {}", response.status()),
                Err(err) => describe(err),
            };
            failures += 1;
            if failures >= self.timing.attempts {
                return Err(self.network(name, problem));
            }
            tokio::time::sleep(self.timing.pause(failures)).await;
        }
    }

    fn get(&self, url: &Url) -> RequestBuilder {
        let request = self.client.get(url.clone());
        match self.config.authorization_for(url) {
            Some(secret) => request.header(header::AUTHORIZATION, secret.expose_secret()),
            None => request,
        }
    }

    fn tarball_url(&self, text: &str) -> Option<Url> {
        let url = Url::parse(text).ok()?;
        let url = if url.host_str() == Some(PUBLIC_HOST) {
            self.config.registry().join(url.path().trim_start_matches('/')).ok()?
        } else {
            url
        };
        let secure = url.scheme() == "https" || self.config.registry().scheme() == "http";
        (secure && matches!(url.scheme(), "http" | "https")).then_some(url)
    }

    fn not_found(&self, package: &str, version: &str) -> RegistryError {
        RegistryError::NotFound {
            package: package.to_owned(),
            version: version.to_owned(),
            registry: self.config.registry().to_string(),
        }
    }

    fn network(&self, what: &str, problem: String) -> RegistryError {
        RegistryError::Network { what: what.to_owned(), registry: self.config.registry().to_string(), problem }
    }

    fn refusal(&self, what: &str, status: StatusCode) -> RegistryError {
        match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                RegistryError::Denied { registry: self.config.registry().to_string(), status: status.as_u16() }
            }
            status => self.network(what, format!("it answered {status}")),
        }
    }
}

#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    versions: BTreeMap<String, Release>,
}

#[derive(Deserialize)]
struct Release {
    dist: Dist,
}

#[derive(Deserialize)]
struct Dist {
    tarball: String,
    integrity: Option<String>,
    shasum: Option<String>,
}

async fn body_of(response: reqwest::Response) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    let mut chunks = response.bytes_stream();
    while let Some(chunk) = chunks.next().await {
        body.extend_from_slice(&chunk.map_err(describe)?);
        if body.len() > DOCUMENT_BYTES_MAX {
            return Err("its answer is far too large".to_owned());
        }
    }
    Ok(body)
}

fn proxy_of(address: &SecretString, make: impl FnOnce(&str) -> reqwest::Result<Proxy>) -> Result<Proxy, RegistryError> {
    // The address may hold a password, so that it is not repeated.
    make(address.expose_secret()).map_err(|_| RegistryError::Config("a proxy's address cannot be used".to_owned()))
}
