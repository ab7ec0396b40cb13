use std::{future::Future, net::Ipv4Addr};

use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::testing::{Wire, error_code, header, soon, status};

/// A door, and a host on this machine that it lets through.
struct Lab {
    door: EgressHandle,
    addr: SocketAddr,
    host: TcpListener,
    host_addr: SocketAddr,
}

impl Lab {
    async fn start() -> Self {
        let host = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let host_addr = host.local_addr().unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let door = Egress::serve(listener, EgressPolicy::public_only().allowing(vec![host_addr]));
        Self { door, addr, host, host_addr }
    }

    async fn client(&self) -> Wire {
        Wire::new(TcpStream::connect(self.addr).await.unwrap())
    }

    async fn accept(&self) -> Wire {
        Wire::new(soon("a connection to the host", self.host.accept()).await.unwrap().0)
    }

    async fn tunnel(&self) -> (Wire, Wire) {
        let mut client = self.client().await;
        client.send(format!("CONNECT {} HTTP/1.1\r\nhost: {}\r\n\r\n", self.host_addr, self.host_addr)).await;
        let host = self.accept().await;
        assert_eq!(status(&client.head().await), 200);
        (client, host)
    }

    async fn until_connections(&self, count: usize) {
        soon("the connections to end", async {
            while self.door.connections() != count {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
}

#[tokio::test]
async fn a_tunnel_carries_bytes_and_ends_on_both_sides() {
    let lab = Lab::start().await;
    let (mut client, mut host) = lab.tunnel().await;
    client.send([0x16, 0x03, 0x00, 0xff]).await;
    client.send("over").await;
    assert!(host.until("over").await.ends_with("over"));
    host.send("back").await;
    client.until("back").await;
    drop(host);
    assert_eq!(client.rest().await, b"");
    drop(client);

    let (client, mut host) = lab.tunnel().await;
    drop(client);
    assert_eq!(host.rest().await, b"");
    drop(host);
    lab.until_connections(0).await;
}

#[tokio::test]
async fn a_plain_request_goes_on_in_origin_form() {
    let lab = Lab::start().await;
    let mut client = lab.client().await;
    client
        .send(format!(
            "POST http://{}/a?b=c HTTP/1.1\r\nhost: elsewhere\r\nproxy-authorization: Basic eA==\r\nproxy-connection: x\r\n\
             connection: x-hop\r\nx-hop: 1\r\nx-own: 1\r\ncontent-length: 2\r\n\r\nhi",
            lab.host_addr
        ))
        .await;
    let mut host = lab.accept().await;
    let head = host.head().await;
    let mut lines: Vec<&str> = head.trim_end().lines().collect();
    lines.sort_unstable();
    let host_line = format!("host: {}", lab.host_addr);
    assert_eq!(lines, ["content-length: 2", &host_line, "post /a?b=c http/1.1", "x-own: 1"]);
    host.until("hi").await;
    host.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n").await;
    assert_eq!(status(&client.head().await), 200);
    client.until("first").await;
    drop(client);
    assert_eq!(host.rest().await, b"", "a client that leaves takes its request with it");
}

#[tokio::test]
async fn private_and_local_hosts_are_refused_however_they_are_written() {
    let lab = Lab::start().await;
    // Another listener on this machine that nobody let through.
    let shut = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = shut.local_addr().unwrap().port();
    for host in [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f.0.0.1",
        "017700000001",
        "0",
        "localhost",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "10.0.0.1",
        "169.254.169.254",
        "[fd00:ec2::254]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "100.100.100.200",
    ] {
        for request in [
            format!("CONNECT {host}:{port} HTTP/1.1\r\nhost: h\r\n\r\n"),
            format!("GET http://{host}:{port}/ HTTP/1.1\r\nhost: h\r\n\r\n"),
        ] {
            let mut client = lab.client().await;
            client.send(&request).await;
            let (head, body) = client.response().await;
            assert_eq!((status(&head), error_code(&body).as_str()), (403, "forbidden"), "{request}");
            assert_eq!(header(&head, "content-type"), Some("application/json"));
        }
    }
    let mut accept = std::pin::pin!(shut.accept());
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(accept.as_mut().poll(&mut cx).is_pending(), "nothing was connected");
}

#[tokio::test]
async fn what_is_not_a_proxy_request_is_refused() {
    let lab = Lab::start().await;
    let at = lab.host_addr;
    for request in [
        "GET / HTTP/1.1".to_owned(),
        format!("GET https://{at}/ HTTP/1.1"),
        format!("GET ftp://{at}/ HTTP/1.1"),
        format!("GET http://user:pw@{at}/ HTTP/1.1"),
        "CONNECT 127.0.0.1 HTTP/1.1".to_owned(),
    ] {
        let mut client = lab.client().await;
        client.send(format!("{request}\r\nhost: h\r\n\r\n")).await;
        let (head, body) = client.response().await;
        assert_eq!((status(&head), error_code(&body).as_str()), (400, "invalid_request"), "{request}");
    }
}

#[tokio::test]
async fn a_host_that_is_away() {
    let lab = Lab::start().await;
    let addr = lab.host_addr;
    drop(lab.host);
    let mut client = Wire::new(TcpStream::connect(lab.addr).await.unwrap());
    client.send(format!("CONNECT {addr} HTTP/1.1\r\nhost: h\r\n\r\n")).await;
    let (head, body) = client.response().await;
    assert_eq!((status(&head), error_code(&body).as_str()), (502, "upstream_failed"));
    client.send("CONNECT no..host:1 HTTP/1.1\r\nhost: h\r\n\r\n").await;
    let (head, body) = client.response().await;
    assert_eq!((status(&head), error_code(&body).as_str()), (502, "upstream_failed"));
}

#[tokio::test]
async fn a_closed_door_closes_what_went_through_it() {
    let lab = Lab::start().await;
    let (mut client, mut host) = lab.tunnel().await;
    let waiting = lab.client().await;
    soon("the shutdown", lab.door.shutdown()).await;
    assert_eq!(client.rest().await, b"");
    assert_eq!(host.rest().await, b"");
    drop(waiting);
    assert!(TcpStream::connect(lab.addr).await.is_err());
}
