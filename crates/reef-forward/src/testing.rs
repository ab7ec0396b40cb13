//! A hub, an instance and a client for tests, each on a socket of its own, so that what is on the wire can be seen.

use std::{
    convert::Infallible,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use reef_driver::{BoxIo, Dial, DriverError, Handshake, HandshakeError, error::Reason};
use reef_types::InstanceId;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
};

use crate::{ForwardLimits, Forwarder, RequestContext, Revocation, Route, RouteState};

/// Nothing in these tests takes this long unless it hangs.
const HANG: Duration = Duration::from_secs(10);

/// Fails the test instead of hanging.
pub(crate) async fn soon<F: Future>(what: &str, future: F) -> F::Output {
    tokio::time::timeout(HANG, future).await.unwrap_or_else(|_| panic!("{what} took too long"))
}

/// Connects to the port of the route on this machine.
#[derive(Default)]
pub(crate) struct LoopbackDial {
    pub(crate) dials: AtomicUsize,
}

#[async_trait]
impl Dial for LoopbackDial {
    async fn dial(&self, _: InstanceId, port: u16) -> Result<BoxIo, DriverError> {
        self.dials.fetch_add(1, Ordering::Relaxed);
        match TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await {
            Ok(stream) => Ok(Box::new(stream)),
            Err(_) => Err(DriverError::new(Reason::Unavailable, "/secret/path: refused")),
        }
    }
}

/// A dial that never comes back.
pub(crate) struct NeverDial;

#[async_trait]
impl Dial for NeverDial {
    async fn dial(&self, _: InstanceId, _: u16) -> Result<BoxIo, DriverError> {
        std::future::pending().await
    }
}

/// Puts marks on the three messages, and refuses a connect request that says `bad`.
pub(crate) struct MarkingHandshake;

impl Handshake for MarkingHandshake {
    fn on_challenge(&mut self, text: &str) -> Result<String, HandshakeError> {
        Ok(format!("seen {text}"))
    }

    fn on_connect(&mut self, text: &str) -> Result<String, HandshakeError> {
        if text.contains("bad") {
            return Err(HandshakeError { close_code: 1008, message: "no credential for this instance".into() });
        }
        Ok("connect with the hub's token".into())
    }

    fn on_answer(&mut self, text: &str) -> Result<String, HandshakeError> {
        Ok(text.replace("secret", "***"))
    }
}

/// A hub with one instance.
pub(crate) struct TestHub {
    pub(crate) forwarder: Forwarder,
    pub(crate) dial: Arc<LoopbackDial>,
    pub(crate) route: Arc<Mutex<Route>>,
    pub(crate) revoke: watch::Sender<Option<Revocation>>,
    pub(crate) addr: SocketAddr,
    /// The instance.
    pub(crate) instance: TcpListener,
}

impl TestHub {
    pub(crate) async fn start(limits: ForwardLimits) -> Self {
        let dial = Arc::new(LoopbackDial::default());
        Self::with_dial(dial.clone(), dial, limits).await
    }

    pub(crate) async fn with_dial(dial: Arc<dyn Dial>, counter: Arc<LoopbackDial>, limits: ForwardLimits) -> Self {
        let instance = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let route = Arc::new(Mutex::new(Route {
            id: InstanceId::new(),
            name: "a".parse().unwrap(),
            generation: 1,
            port: instance.local_addr().unwrap().port(),
            state: RouteState::Ready,
        }));
        let forwarder = Forwarder::new(dial, limits);
        let (revoke, revoked) = watch::channel(None);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let addr = listener.local_addr().unwrap();
        tokio::spawn(serve(listener, forwarder.clone(), route.clone(), revoked));
        Self { forwarder, dial: counter, route, revoke, addr, instance }
    }

    pub(crate) async fn client(&self) -> Wire {
        Wire::new(TcpStream::connect(self.addr).await.unwrap())
    }

    /// The next connection that the hub makes to the instance.
    pub(crate) async fn accept(&self) -> Wire {
        Wire::new(soon("a connection to the instance", self.instance.accept()).await.unwrap().0)
    }

    pub(crate) fn dials(&self) -> usize {
        self.dial.dials.load(Ordering::Relaxed)
    }
}

async fn serve(
    listener: TcpListener,
    forwarder: Forwarder,
    route: Arc<Mutex<Route>>,
    revoked: watch::Receiver<Option<Revocation>>,
) {
    while let Ok((stream, _)) = listener.accept().await {
        let (forwarder, route, revoked) = (forwarder.clone(), route.clone(), revoked.clone());
        let service = service_fn(move |req: http::Request<hyper::body::Incoming>| {
            let (forwarder, route, revoked) = (forwarder.clone(), route.lock().clone(), revoked.clone());
            let ctx = RequestContext {
                request_id: "r-1".into(),
                client_ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
                actor: "owner".into(),
            };
            async move {
                Ok::<_, Infallible>(if req.uri().path() == "/ws" {
                    forwarder.upgrade(&route, req, Box::new(MarkingHandshake), revoked, ctx).await
                } else {
                    let target = req.uri().path_and_query().map_or_else(String::new, ToString::to_string);
                    forwarder.forward(&route, req, &target, ctx).await
                })
            }
        });
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service).with_upgrades());
    }
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

    /// Reads a head and a body of the length it names.
    pub(crate) async fn response(&mut self) -> (String, String) {
        let head = self.head().await;
        let length = header(&head, "content-length").map_or(0, |text| text.parse().unwrap());
        while self.read.len() < length {
            assert_ne!(soon("a body", self.stream.read_buf(&mut self.read)).await.unwrap(), 0, "the body broke off");
        }
        let rest = self.read.split_off(length);
        (head, String::from_utf8(std::mem::replace(&mut self.read, rest)).unwrap())
    }

    /// Reads until the other side closes, in whatever way.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        while !matches!(soon("the end", self.stream.read_buf(&mut self.read)).await, Ok(0) | Err(_)) {}
        std::mem::take(&mut self.read)
    }

    /// Sends a request without a body and reads the response.
    pub(crate) async fn get(&mut self, target: &str, headers: &str) -> (String, String) {
        self.send(format!("GET {target} HTTP/1.1\r\nhost: hub\r\n{headers}\r\n")).await;
        self.response().await
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

/// The code of an error body, after a look at its shape.
pub(crate) fn error_code(body: &str) -> String {
    let value: serde_json::Value = serde_json::from_str(body).unwrap();
    let error = &value["error"];
    assert!(!error["message"].as_str().unwrap().is_empty() && error["requestId"].is_string(), "{body}");
    error["code"].as_str().unwrap().to_owned()
}
