//! The npm configuration of this machine, as far as fetching packages depends on it.
//!
//! Read from the places where npm reads it, so that a machine on which `npm install` works is a machine on which Reef can
//! install. Certificate checks cannot be switched off here: `strict-ssl=false` is not honoured, `cafile` is.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};

use super::{RegistryError, npmrc};

/// Where packages come from when nothing else is configured.
const DEFAULT_REGISTRY: &str = "https://registry.npmjs.org/";

/// The largest configuration or certificate file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// Certificate bundles of the common systems, used for programs that bring their own list.
const SYSTEM_CA_FILES: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

/// The environment and the file system that the configuration is read from.
#[derive(Debug, Clone)]
pub struct Machine {
    pub env: BTreeMap<String, String>,
    /// Files are looked up below this folder; `/` but for tests.
    pub root: PathBuf,
}

impl Machine {
    /// This process's environment and the real file system.
    pub fn current() -> Self {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Self { env: std::env::vars_os().filter_map(text).collect(), root: PathBuf::from("/") }
    }

    fn locate(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// The text of a file; nothing when it is not there, unreadable or far too large to be meant.
    fn read(&self, path: impl AsRef<Path>) -> Option<String> {
        let path = self.locate(path);
        let meta = std::fs::metadata(&path).ok()?;
        (meta.is_file() && meta.len() <= FILE_BYTES_MAX).then(|| std::fs::read_to_string(path).ok())?
    }

    /// The first of some variables that is set to something.
    fn var(&self, names: &[&str]) -> Option<&str> {
        names.iter().find_map(|name| self.env.get(*name)).map(String::as_str).filter(|value| !value.is_empty())
    }
}

/// What is needed to fetch packages.
#[derive(Clone)]
pub struct NpmConfig {
    registry: Url,
    /// Value of the `Authorization` header for the registry.
    authorization: Option<SecretString>,
    http_proxy: Option<SecretString>,
    https_proxy: Option<SecretString>,
    no_proxy: Option<String>,
    ca_pem: String,
    system_ca_pem: String,
}

impl fmt::Debug for NpmConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NpmConfig").field("registry", &self.registry.as_str()).finish_non_exhaustive()
    }
}

impl NpmConfig {
    /// Reads the configuration. Blocks for a few small files.
    ///
    /// # Errors
    /// `Config` when the registry's address or the certificates cannot be used.
    pub fn load(machine: &Machine) -> Result<Self, RegistryError> {
        let settings = settings(machine);
        let setting = |name: &str| settings.get(name).map(String::as_str).filter(|value| !value.is_empty());

        let mut registry = parse_registry(setting("registry").unwrap_or(DEFAULT_REGISTRY))?;
        let embedded = take_userinfo(&mut registry);
        let authorization = authorization(&settings, &registry).or(embedded);
        // Sent as it is, it would be refused with a riddle; written for npm, it would be expanded there.
        if authorization.as_ref().is_some_and(|value| value.expose_secret().contains("${")) {
            return Err(RegistryError::Config("the registry's credential names a variable that is not set".to_owned()));
        }

        let proxy_of = |names: &[&str], variables: &[&str]| {
            let configured = names.iter().find_map(|name| setting(name));
            let proxy = match configured {
                // npm's way of saying: none, whatever the environment says.
                Some("null" | "false") => None,
                Some(proxy) => Some(proxy),
                None => machine.var(variables),
            };
            proxy.map(|proxy| SecretString::from(proxy.to_owned()))
        };
        let ca_pem = [
            setting("ca").filter(|ca| *ca != "null").map(str::to_owned),
            setting("cafile").and_then(|path| machine.read(path)),
        ];
        if setting("cafile").is_some() && ca_pem[1].is_none() {
            return Err(RegistryError::Config("`cafile` cannot be read".to_owned()));
        }
        let system_ca = [machine.var(&["NODE_EXTRA_CA_CERTS"]), machine.var(&["SSL_CERT_FILE"])];
        let mut system_ca = system_ca.into_iter().flatten().chain(SYSTEM_CA_FILES);

        Ok(Self {
            registry,
            authorization,
            http_proxy: proxy_of(&["proxy"], &["HTTP_PROXY", "http_proxy"]),
            https_proxy: proxy_of(
                &["https-proxy", "proxy"],
                &["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"],
            ),
            no_proxy: setting("noproxy").or_else(|| machine.var(&["NO_PROXY", "no_proxy"])).map(str::to_owned),
            ca_pem: ca_pem.into_iter().flatten().collect::<Vec<_>>().join("\n"),
            system_ca_pem: system_ca.find_map(|path| machine.read(path)).unwrap_or_default(),
        })
    }

    /// The registry's address, with a slash at the end and without credentials.
    pub fn registry(&self) -> &Url {
        &self.registry
    }

    /// The `Authorization` header for an address: only for the registry's own scheme, host and port.
    pub(super) fn authorization_for(&self, url: &Url) -> Option<&SecretString> {
        self.authorization.as_ref().filter(|_| url.origin() == self.registry.origin())
    }

    /// The proxy for the registry's scheme, and the hosts that are reached without it.
    pub(super) fn proxies(&self) -> (Option<&SecretString>, Option<&SecretString>, Option<&str>) {
        (self.http_proxy.as_ref(), self.https_proxy.as_ref(), self.no_proxy.as_deref())
    }

    /// Certificates to trust besides the system's, in PEM.
    pub(super) fn extra_ca(&self) -> &str {
        &self.ca_pem
    }

    /// All certificates to trust, in PEM, for a program that does not look at the system's.
    pub fn ca_bundle(&self) -> String {
        format!("{}\n{}\n", self.ca_pem, self.system_ca_pem)
    }

    /// The same configuration as an npmrc file. It holds the credentials.
    pub fn to_npmrc(&self) -> SecretString {
        let registry = &self.registry;
        let mut lines = vec![format!("registry={registry}"), "strict-ssl=true".to_owned()];
        if let Some(value) = &self.authorization {
            // For all of the registry's origin: its files may lie beside its documents.
            let scope = nerf_dart(&registry.join("/").expect("an http address has a root"));
            let (kind, credential) = value.expose_secret().split_once(' ').unwrap_or_default();
            let key = if kind == "Bearer" { "_authToken" } else { "_auth" };
            lines.push(format!("{scope}:{key}={}", quoted(credential)));
        }
        let proxies = [("proxy", &self.http_proxy), ("https-proxy", &self.https_proxy)];
        for (key, proxy) in proxies {
            lines.extend(proxy.as_ref().map(|proxy| format!("{key}={}", quoted(proxy.expose_secret()))));
        }
        lines.extend(self.no_proxy.as_deref().map(|hosts| format!("noproxy={}", quoted(hosts))));
        SecretString::from(lines.join("\n") + "\n")
    }
}

/// A value that the ini format gives back unchanged.
fn quoted(value: &str) -> String {
    serde_json::Value::from(value).to_string()
}

/// All settings, the strongest source last: built-in, global, user, environment.
fn settings(machine: &Machine) -> BTreeMap<String, String> {
    let from_env = environment_settings(&machine.env);
    let user_file =
        from_env.get("userconfig").cloned().or_else(|| machine.var(&["HOME"]).map(|home| format!("{home}/.npmrc")));
    let user = user_file.and_then(|path| machine.read(path)).map(|text| npmrc::parse(&text, &machine.env));
    let user = user.unwrap_or_default();

    let prefix = from_env.get("prefix").or_else(|| user.get("prefix")).cloned().or_else(|| node_prefix(machine));
    let mut files: Vec<String> = Vec::new();
    files.extend(prefix.iter().map(|prefix| format!("{prefix}/lib/node_modules/npm/npmrc")));
    match from_env.get("globalconfig") {
        Some(path) => files.push(path.clone()),
        None => {
            files.extend(["/etc/npmrc".to_owned(), "/usr/etc/npmrc".to_owned()]);
            files.extend(prefix.map(|prefix| format!("{prefix}/etc/npmrc")));
        }
    }
    let mut all = BTreeMap::new();
    for text in files.iter().filter_map(|path| machine.read(path)) {
        all.extend(npmrc::parse(&text, &machine.env));
    }
    all.extend(user);
    all.extend(from_env);
    all
}

/// `npm_config_fetch_retries` is `fetch-retries`; scoped keys (`npm_config_//host/:_authToken`) stay as they are.
fn environment_settings(env: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    const PREFIX: &str = "npm_config_";
    let key_of = |name: &str| {
        let is_ours = name.get(..PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(PREFIX));
        let key = is_ours.then(|| &name[PREFIX.len()..]).filter(|key| !key.is_empty())?;
        if key.starts_with("//") {
            return Some(key.to_owned());
        }
        // A leading underscore belongs to the name (`_auth`).
        let body = key.trim_start_matches('_');
        Some(format!("{}{}", &key[..key.len() - body.len()], body.replace('_', "-").to_lowercase()))
    };
    env.iter().filter_map(|(name, value)| Some((key_of(name)?, value.clone()))).filter(|(_, v)| !v.is_empty()).collect()
}

/// Where an existing Node is installed: npm's global configuration lies below.
fn node_prefix(machine: &Machine) -> Option<String> {
    let path = machine.var(&["PATH"])?;
    let node = path.split(':').map(|dir| machine.locate(dir).join("node")).find(|node| node.is_file())?;
    let root = machine.root.canonicalize().ok()?;
    let prefix = node.canonicalize().ok()?.parent()?.parent()?.strip_prefix(root).ok()?.to_str()?.to_owned();
    Some(format!("/{prefix}"))
}

fn parse_registry(text: &str) -> Result<Url, RegistryError> {
    let refuse = || RegistryError::Config("`registry` is not an http or https address".to_owned());
    let mut url = Url::parse(text).map_err(|_| refuse())?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(refuse());
    }
    url.set_query(None);
    url.set_fragment(None);
    if !url.path().ends_with('/') {
        url.set_path(&format!("{}/", url.path()));
    }
    Ok(url)
}

/// Takes `user:password@` out of the address, so that it can be shown.
fn take_userinfo(url: &mut Url) -> Option<SecretString> {
    let (user, password) = (url.username().to_owned(), url.password().unwrap_or_default().to_owned());
    let cannot_fail = "an http address has a host";
    url.set_username("").expect(cannot_fail);
    url.set_password(None).expect(cannot_fail);
    (!user.is_empty()).then(|| basic(&user, &password))
}

fn basic(user: &str, password: &str) -> SecretString {
    SecretString::from(format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))))
}

/// The credential for the registry: scoped keys from its own path up to its host, then nothing. Unscoped keys
/// (`_authToken=…`) are from a time when they were sent anywhere; npm refuses them too.
fn authorization(settings: &BTreeMap<String, String>, registry: &Url) -> Option<SecretString> {
    let mut scope = nerf_dart(registry);
    loop {
        let get = |key: &str| settings.get(&format!("{scope}:{key}")).filter(|value| !value.is_empty());
        if let Some(token) = get("_authToken") {
            return Some(SecretString::from(format!("Bearer {token}")));
        }
        if let Some(pair) = get("_auth") {
            return Some(SecretString::from(format!("Basic {pair}")));
        }
        if let (Some(user), Some(password)) = (get("username"), get("_password")) {
            let password = String::from_utf8(STANDARD.decode(password).ok()?).ok()?;
            return Some(basic(user, &password));
        }
        let parent = scope.trim_end_matches('/').rfind('/').map(|end| scope[..=end].to_owned())?;
        if parent == "//" {
            return None;
        }
        scope = parent;
    }
}

/// npm's name for an address in its configuration: without scheme, with a slash at the end.
fn nerf_dart(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("//{}{port}{}", url.host_str().unwrap_or_default(), url.path())
}

#[cfg(test)]
mod tests;
