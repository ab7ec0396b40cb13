//! Who answers: the table of providers and how a model id finds its own.

use std::{fmt, net::IpAddr};

use reef_driver::agent::{Dialect, ModelInfo};
use reqwest::Url;
use secrecy::SecretString;

/// Name of the built-in provider.
pub(crate) const ECHO: &str = "echo";

/// All providers of this moment.
#[derive(Debug, Clone, Default)]
pub struct ProviderTable {
    pub providers: Vec<Provider>,
}

/// One provider.
#[derive(Debug, Clone)]
pub struct Provider {
    /// The part of a model id before the first `/`.
    pub name: String,
    pub kind: ProviderKind,
    /// What it offers, by full id (`provider/model`); a model that is not listed is refused.
    pub models: Vec<ModelInfo>,
}

/// How a provider is reached.
#[derive(Clone)]
pub enum ProviderKind {
    /// Built in: answers by itself, in both dialects.
    Echo,
    /// Speaks OpenAI chat completions below `base_url`, which ends in `/v1` as the vendor's own libraries have it.
    OpenAi { base_url: BaseUrl, key: Option<SecretString> },
    /// Speaks Anthropic messages below `base_url`, to which `/v1/messages` is added.
    Anthropic { base_url: BaseUrl, key: Option<SecretString> },
}

impl fmt::Debug for ProviderKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ProviderKind::Echo => f.write_str("Echo"),
            ProviderKind::OpenAi { base_url, .. } => write!(f, "OpenAi({base_url})"),
            ProviderKind::Anthropic { base_url, .. } => write!(f, "Anthropic({base_url})"),
        }
    }
}

impl Provider {
    /// The built-in echo provider with one model for each dialect.
    pub fn echo() -> Self {
        let model = |id: &str, name: &str, dialect| ModelInfo {
            id: id.to_owned(),
            name: name.to_owned(),
            dialect,
            context_tokens: 128_000,
            output_tokens_max: 8_192,
        };
        Self {
            name: ECHO.to_owned(),
            kind: ProviderKind::Echo,
            models: vec![
                model("echo/echo-1", "Echo", Dialect::OpenAiChat),
                model("echo/echo-messages-1", "Echo (messages)", Dialect::AnthropicMessages),
            ],
        }
    }

    /// Whether the provider can be called in a dialect.
    pub(crate) fn speaks(&self, dialect: Dialect) -> bool {
        match self.kind {
            ProviderKind::Echo => true,
            ProviderKind::OpenAi { .. } => dialect == Dialect::OpenAiChat,
            ProviderKind::Anthropic { .. } => dialect == Dialect::AnthropicMessages,
        }
    }
}

impl ProviderTable {
    /// The provider of a model id, and the model's name there.
    pub(crate) fn find<'a>(&self, model: &'a str) -> Option<(&Provider, &'a str)> {
        let (name, rest) = model.split_once('/')?;
        let provider = self.providers.iter().find(|provider| provider.name == name)?;
        provider.models.iter().any(|info| info.id == model).then_some((provider, rest))
    }

    pub(crate) fn models(&self) -> impl Iterator<Item = (&Provider, &ModelInfo)> {
        self.providers.iter().flat_map(|provider| provider.models.iter().map(move |model| (provider, model)))
    }
}

/// Why a text is not the address of a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BaseUrlError {
    #[error("a base URL starts with http:// or https:// and names a host")]
    NotHttp,
    #[error("a base URL holds no user name, password, query or fragment; the key has a field of its own")]
    Extra,
    #[error(
        "http:// would send the key in the clear: use https://, or an address of this machine or of a private network"
    )]
    Plain,
    #[error("this address is the link's or the cloud's own, where no provider is")]
    LinkLocal,
}

/// The address of a provider: http or https, and nothing secret in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseUrl(Url);

impl BaseUrl {
    /// Reads a base URL.
    ///
    /// # Errors
    /// When it is not http(s), holds credentials, a query or a fragment, is plain http to somewhere public, or is where
    /// clouds answer with their own credentials.
    pub fn parse(text: &str) -> Result<Self, BaseUrlError> {
        let url = Url::parse(text.trim_end_matches('/')).map_err(|_| BaseUrlError::NotHttp)?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err(BaseUrlError::NotHttp);
        }
        let extra = !url.username().is_empty() || url.password().is_some();
        if extra || url.query().is_some() || url.fragment().is_some() {
            return Err(BaseUrlError::Extra);
        }
        let reach = reach(url.host_str().unwrap_or_default());
        match (url.scheme(), reach) {
            (_, Reach::Link) => Err(BaseUrlError::LinkLocal),
            ("http", Reach::Public) => Err(BaseUrlError::Plain),
            _ => Ok(Self(url)),
        }
    }

    pub(crate) fn join(&self, segments: &[&str]) -> Url {
        let mut url = self.0.clone();
        // Only URLs that cannot be a base have no segments, and http(s) ones always can.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        url
    }

    /// Whether the provider runs on this machine, where no proxy belongs in between.
    pub(crate) fn is_loopback(&self) -> bool {
        let host = self.0.host_str().unwrap_or_default();
        let ip = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
        host.eq_ignore_ascii_case("localhost") || ip.is_ok_and(|ip| ip.is_loopback())
    }
}

/// How far away a host is, by its name alone: what a name resolves to may change at any time.
enum Reach {
    /// This machine, or a network that is somebody's own.
    Near,
    /// IPv4 and IPv6 link-local (RFC 3927, RFC 4291 section 2.5.6), where clouds serve credentials of the machine.
    Link,
    Public,
}

fn reach(host: &str) -> Reach {
    match host.trim_matches(['[', ']']).parse::<IpAddr>().map(|ip| ip.to_canonical()) {
        Ok(IpAddr::V4(ip)) if ip.is_link_local() || ip.is_unspecified() => Reach::Link,
        Ok(IpAddr::V6(ip)) if ip.is_unicast_link_local() || ip.is_unspecified() => Reach::Link,
        Ok(IpAddr::V4(ip)) if ip.is_loopback() || ip.is_private() => Reach::Near,
        Ok(IpAddr::V6(ip)) if ip.is_loopback() || ip.is_unique_local() => Reach::Near,
        Ok(_) => Reach::Public,
        // Names without a dot, and the endings that are kept for private use (RFC 6761, RFC 6762, ICANN's `internal`).
        Err(_) if !host.contains('.') => Reach::Near,
        Err(_) if [".localhost", ".local", ".internal", ".home.arpa"].iter().any(|end| host.ends_with(end)) => {
            Reach::Near
        }
        Err(_) => Reach::Public,
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_urls() {
        for (text, expect) in [
            ("https://api.openai.com/v1", Ok("https://api.openai.com/v1/chat/completions")),
            ("https://api.openai.com/v1/", Ok("https://api.openai.com/v1/chat/completions")),
            ("http://127.0.0.1:11434", Ok("http://127.0.0.1:11434/chat/completions")),
            ("ftp://x/v1", Err(BaseUrlError::NotHttp)),
            ("api.openai.com", Err(BaseUrlError::NotHttp)),
            ("", Err(BaseUrlError::NotHttp)),
            ("https://user:pw@x/v1", Err(BaseUrlError::Extra)),
            ("https://x/v1?key=1", Err(BaseUrlError::Extra)),
            ("https://x/v1#k", Err(BaseUrlError::Extra)),
            ("http://api.openai.com/v1", Err(BaseUrlError::Plain)),
            ("http://8.8.8.8/v1", Err(BaseUrlError::Plain)),
            ("http://169.254.169.254/v1", Err(BaseUrlError::LinkLocal)),
            ("https://[::ffff:169.254.169.254]/v1", Err(BaseUrlError::LinkLocal)),
            ("http://[fe80::1]/v1", Err(BaseUrlError::LinkLocal)),
            ("http://0.0.0.0/v1", Err(BaseUrlError::LinkLocal)),
            ("http://192.168.1.9:8000/v1", Ok("http://192.168.1.9:8000/v1/chat/completions")),
            ("http://gpu.local/v1", Ok("http://gpu.local/v1/chat/completions")),
            ("http://ollama:11434/v1", Ok("http://ollama:11434/v1/chat/completions")),
        ] {
            let joined = BaseUrl::parse(text).map(|url| url.join(&["chat", "completions"]).to_string());
            assert_eq!(joined, expect.map(str::to_owned), "{text}");
        }
        for (text, expect) in [
            ("http://localhost:1/v1", true),
            ("http://[::1]:1", true),
            ("http://127.9.9.9", true),
            ("http://a.internal", false),
        ] {
            assert_eq!(BaseUrl::parse(text).unwrap().is_loopback(), expect, "{text}");
        }
    }

    #[test]
    fn models_are_found_only_where_they_are_listed() {
        let table = ProviderTable { providers: vec![Provider::echo()] };
        assert_eq!(
            table.find("echo/echo-1").map(|(provider, name)| (provider.name.as_str(), name)),
            Some(("echo", "echo-1"))
        );
        for unknown in ["echo-1", "echo/", "echo/echo-2", "other/echo-1", "", "/", "ECHO/echo-1"] {
            assert!(table.find(unknown).is_none(), "{unknown}");
        }
    }
}
