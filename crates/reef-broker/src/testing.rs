//! A broker, a provider and a client for tests, each on a socket of its own, so that what is on the wire can be seen.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use arc_swap::ArcSwap;
use reef_driver::agent::{Dialect, ModelInfo};
use reef_types::{InstanceId, usage::UsageRecord};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};

use crate::{BaseUrl, Broker, BrokerLimits, Provider, ProviderKind, ProviderTable, ServeHandle, Tenant, UsageSink};

/// Nothing in these tests takes this long unless it hangs.
const HANG: Duration = Duration::from_secs(10);
/// The real key, which must never come out.
pub(crate) const REAL_KEY: &str = "sk-planted-marker-0123456789";
/// The virtual key of the first tenant.
pub(crate) const VIRTUAL_KEY: &str = "reef-virtual-a";

/// Fails the test instead of hanging.
pub(crate) async fn soon<F: Future>(what: &str, future: F) -> F::Output {
    tokio::time::timeout(HANG, future).await.unwrap_or_else(|_| panic!("{what} took too long"))
}

struct Records(mpsc::UnboundedSender<UsageRecord>);

impl UsageSink for Records {
    fn record(&self, record: UsageRecord) {
        let _ = self.0.send(record);
    }
}

/// A broker with the echo provider and one stand-in for each dialect.
pub(crate) struct Lab {
    pub(crate) broker: Broker,
    pub(crate) instance: InstanceId,
    pub(crate) door: ServeHandle,
    pub(crate) addr: SocketAddr,
    /// The stand-in provider.
    pub(crate) provider: TcpListener,
    records: mpsc::UnboundedReceiver<UsageRecord>,
}

impl Lab {
    pub(crate) async fn start() -> Self {
        Self::with(BrokerLimits::default()).await
    }

    pub(crate) async fn with(limits: BrokerLimits) -> Self {
        let provider = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let at = provider.local_addr().unwrap();
        let stand_in = |name: &str, path: &str, dialect| {
            let (base_url, key) = (BaseUrl::parse(&format!("http://{at}{path}")).unwrap(), Some(REAL_KEY.into()));
            let kind = match dialect {
                Dialect::OpenAiChat => ProviderKind::OpenAi { base_url, key },
                Dialect::AnthropicMessages => ProviderKind::Anthropic { base_url, key },
            };
            let model = ModelInfo {
                id: format!("{name}/vendor/big-1"),
                name: "Big".into(),
                dialect,
                context_tokens: 1,
                output_tokens_max: 1,
            };
            Provider { name: name.into(), kind, models: vec![model] }
        };
        let providers = vec![
            Provider::echo(),
            stand_in("oa", "/v1", Dialect::OpenAiChat),
            stand_in("an", "", Dialect::AnthropicMessages),
        ];
        let (sender, records) = mpsc::unbounded_channel();
        let table = Arc::new(ArcSwap::from_pointee(ProviderTable { providers }));
        let broker = Broker::new(limits, table, Arc::new(Records(sender)));
        let instance = InstanceId::new();
        let (door, addr) = open(&broker, instance, VIRTUAL_KEY).await;
        Self { broker, instance, door, addr, provider, records }
    }

    pub(crate) async fn client(&self) -> Wire {
        Wire::new(TcpStream::connect(self.addr).await.unwrap())
    }

    /// The next connection that the broker makes to the provider.
    pub(crate) async fn accept(&self) -> Wire {
        Wire::new(soon("a connection to the provider", self.provider.accept()).await.unwrap().0)
    }

    pub(crate) async fn record(&mut self) -> UsageRecord {
        soon("a usage record", self.records.recv()).await.unwrap()
    }

    pub(crate) fn no_record(&mut self) -> bool {
        self.records.try_recv().is_err()
    }
}

/// A door of its own for one instance.
pub(crate) async fn open(broker: &Broker, instance: InstanceId, key: &str) -> (ServeHandle, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let addr = listener.local_addr().unwrap();
    (broker.serve(listener, Tenant { instance, key: key.into() }), addr)
}

/// One end of a connection, read by hand.
pub(crate) struct Wire {
    pub(crate) stream: TcpStream,
    pub(crate) read: Vec<u8>,
}

impl Wire {
    pub(crate) fn new(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        Self { stream, read: Vec::new() }
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
    }

    /// Sends a request with the first tenant's key.
    pub(crate) async fn post(&mut self, path: &str, body: &str) {
        self.post_with(path, &format!("authorization: Bearer {VIRTUAL_KEY}\r\n"), body).await;
    }

    pub(crate) async fn post_with(&mut self, path: &str, headers: &str, body: &str) {
        let length = body.len();
        self.send(format!("POST {path} HTTP/1.1\r\nhost: b\r\n{headers}content-length: {length}\r\n\r\n{body}")).await;
    }

    /// Reads up to and with `mark`.
    pub(crate) async fn until(&mut self, mark: &str) -> String {
        loop {
            if let Some(at) = self.read.windows(mark.len()).position(|window| window == mark.as_bytes()) {
                let rest = self.read.split_off(at + mark.len());
                return String::from_utf8_lossy(&std::mem::replace(&mut self.read, rest)).into_owned();
            }
            let more = soon(mark, self.stream.read_buf(&mut self.read)).await.unwrap();
            assert_ne!(more, 0, "closed before {mark:?}, after {:?}", String::from_utf8_lossy(&self.read));
        }
    }

    /// Reads a head, in lower case.
    pub(crate) async fn head(&mut self) -> String {
        self.until("\r\n\r\n").await.to_ascii_lowercase()
    }

    async fn exactly(&mut self, length: usize) -> Vec<u8> {
        while self.read.len() < length {
            assert_ne!(soon("a body", self.stream.read_buf(&mut self.read)).await.unwrap(), 0, "the body broke off");
        }
        let rest = self.read.split_off(length);
        std::mem::replace(&mut self.read, rest)
    }

    /// Reads a whole request or response, chunked or of known length; the head is in lower case.
    pub(crate) async fn message(&mut self) -> (String, Vec<u8>) {
        let head = self.head().await;
        if !head.contains("transfer-encoding: chunked") {
            let length = header(&head, "content-length").map_or(0, |text| text.parse().unwrap());
            return (head, self.exactly(length).await);
        }
        let mut body = Vec::new();
        loop {
            let size = self.until("\r\n").await;
            let size = usize::from_str_radix(size.trim(), 16).unwrap();
            body.extend(self.exactly(size).await);
            self.until("\r\n").await;
            if size == 0 {
                return (head, body);
            }
        }
    }

    /// Reads a whole message of JSON.
    pub(crate) async fn json(&mut self) -> (u16, Value) {
        let (head, body) = self.message().await;
        (status(&head), serde_json::from_slice(&body).unwrap())
    }

    /// Reads until the other side closes, in whatever way.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        while !matches!(soon("the end", self.stream.read_buf(&mut self.read)).await, Ok(0) | Err(_)) {}
        std::mem::take(&mut self.read)
    }
}

/// A header's value in a head that is in lower case.
pub(crate) fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

/// The status of a head.
pub(crate) fn status(head: &str) -> u16 {
    head.split(' ').nth(1).and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("no status in {head:?}"))
}
