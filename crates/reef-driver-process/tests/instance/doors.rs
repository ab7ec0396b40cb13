//! The ways in and out, and what a rude client of the door keeper can do: nothing.

use std::{os::fd::OwnedFd, time::Duration};

use reef_driver::{Driver, Reason};
use reef_sandbox::packet;
use reef_types::InstanceId;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::fixture::Fixture;

/// A server that sends back what it gets, and says when it listens.
const ECHO: &str = "exec perl -MIO::Socket::INET -e '$| = 1; \
    my $l = IO::Socket::INET->new(LocalAddr => \"127.0.0.1\", LocalPort => 4000, Listen => 64) or die; print \"up\\n\"; \
    while (my $c = $l->accept) { sysread($c, my $b, 100); syswrite($c, $b); }'";

async fn echo(fixture: &Fixture, id: InstanceId) {
    let mut stream = fixture.driver.dial(id, 4000).await.unwrap();
    stream.write_all(b"hello").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert_eq!(answer, "hello");
}

fn clients(fixture: &Fixture, id: InstanceId, count: usize) -> Vec<OwnedFd> {
    let run = fixture.root.join(id.to_string()).join("run");
    (0..count).filter_map(|_| packet::connect(&run, "door.sock").ok()).collect()
}

#[tokio::test]
async fn garbage_is_answered_or_dropped_and_harms_nobody() {
    let mut fixture = Fixture::new();
    let id = fixture.start(ECHO).await;
    fixture.line(id, "up").await;
    let long = "x".repeat(packet::PACKET_BYTES_MAX - 2);
    for garbage in ["", "{}", "[1]", &long] {
        for client in clients(&fixture, id, 3) {
            packet::send(&client, &garbage, None).unwrap();
        }
    }
    for garbage in [b"\xff\xfe".as_slice(), b"{\"ask\":\"dial\",\"port\":70000}", b"{\"ask\":\"dial\""] {
        for client in clients(&fixture, id, 3) {
            rustix::net::send(&client, garbage, rustix::net::SendFlags::empty()).unwrap();
        }
    }
    echo(&fixture, id).await;
    fixture.clean().await;
}

#[tokio::test]
async fn silent_clients_do_not_shut_out_others_for_long() {
    let mut fixture = Fixture::new();
    let id = fixture.start(ECHO).await;
    fixture.line(id, "up").await;
    let silent = clients(&fixture, id, 80);
    assert!(silent.len() > 64);
    echo(&fixture, id).await;
    drop(silent);
    fixture.clean().await;
}

#[tokio::test]
async fn a_port_that_does_not_accept_keeps_nobody_waiting() {
    let mut fixture = Fixture::new();
    let stuck = "perl -MIO::Socket::INET -e '$| = 1; \
        my $l = IO::Socket::INET->new(LocalAddr => \"127.0.0.1\", LocalPort => 5000, Listen => 1) or die; \
        print \"stuck\\n\"; sleep 1000' & ";
    let id = fixture.start(&format!("{stuck} {ECHO}")).await;
    fixture.line(id, "up").await;
    fixture.line(id, "stuck").await;
    // The queue of the stuck port takes a few, and then answers no more.
    let mut taken = Vec::new();
    let refused = loop {
        match tokio::time::timeout(Duration::from_millis(200), fixture.driver.dial(id, 5000)).await {
            Ok(Ok(stream)) => taken.push(stream),
            Ok(Err(err)) => break err,
            Err(_) => {
                let (waiting, ()) = tokio::join!(fixture.driver.dial(id, 5000), echo(&fixture, id));
                break waiting.err().expect("nobody accepts");
            }
        }
    };
    assert_eq!(refused.reason, Reason::Unavailable, "{refused}");
    fixture.clean().await;
}

#[tokio::test]
async fn many_dials_at_once() {
    let mut fixture = Fixture::new();
    let id = fixture.start(ECHO).await;
    fixture.line(id, "up").await;
    let rounds = (0..200).map(|_| echo(&fixture, id));
    futures_util::future::join_all(rounds).await;
    fixture.clean().await;
}
