//! Dials into the instance and doors out of it.

use std::{net::TcpListener, os::fd::OwnedFd};

use reef_types::InstanceId;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    time::timeout,
};

use super::{PATIENCE, Program, Subject, clear, eventually, launch, logs::wait_for_line, reason, workload};
use crate::Reason;

const PORT: u16 = 18789;

pub(super) async fn a_dialled_port_answers(subject: &mut dyn Subject) {
    let driver = subject.driver();
    let workload = workload(subject, &Program::Echo { port: PORT });
    launch(&*driver, &workload).await;
    for message in [b"ping".as_slice(), &[7; 100_000]] {
        let stream = eventually("the port answers", async || driver.dial(workload.id, PORT).await).await;
        let (mut read, mut write) = tokio::io::split(stream);
        let mut back = vec![0; message.len()];
        let round_trip = async {
            tokio::try_join!(write.write_all(message), async { read.read_exact(&mut back).await.map(|_| ()) })
        };
        timeout(PATIENCE, round_trip).await.expect("no echo").unwrap();
        assert_eq!(back, message);
    }
    clear(&*driver, workload.id).await;
}

pub(super) async fn dialling_what_does_not_answer_fails_with_its_reason(subject: &mut dyn Subject) {
    let driver = subject.driver();
    let workload = workload(subject, &Program::Idle);
    let failed = |dialled: Result<_, _>| reason(dialled.map(|_| ()));
    assert_eq!(failed(driver.dial(InstanceId::new(), PORT).await), Reason::NotFound);
    launch(&*driver, &workload).await;
    assert_eq!(failed(driver.dial(workload.id, PORT).await), Reason::Unavailable);
    driver.stop(workload.id, 5_000).await.unwrap();
    assert_eq!(failed(driver.dial(workload.id, PORT).await), Reason::NotFound);
    clear(&*driver, workload.id).await;
}

pub(super) async fn a_door_leads_to_the_hub(subject: &mut dyn Subject) {
    let driver = subject.driver();
    let mut workload = workload(subject, &Program::Knock { port: PORT });
    workload.doors = vec![PORT];
    launch(&*driver, &workload).await;
    let first = listener(driver.door(workload.id, PORT).await.unwrap());
    let second = listener(driver.door(workload.id, PORT).await.unwrap());
    assert_eq!(first.local_addr().unwrap(), second.local_addr().unwrap());
    // The hub that opened the first has died: the socket is the same, and what waits in it is not lost.
    drop(first);
    let (stream, _) = timeout(PATIENCE, second.accept()).await.expect("nobody knocked").unwrap();
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    timeout(PATIENCE, stream.read_line(&mut line)).await.expect("no line came").unwrap();
    assert_eq!(line, "knock\n");
    stream.write_all(b"come in\n").await.unwrap();
    wait_for_line(&*driver, workload.id, "answer: come in").await;
    clear(&*driver, workload.id).await;
}

pub(super) async fn a_door_that_was_not_asked_for_is_refused(subject: &mut dyn Subject) {
    let driver = subject.driver();
    let workload = workload(subject, &Program::Idle);
    launch(&*driver, &workload).await;
    driver.door(workload.id, PORT).await.expect_err("the workload has no doors");
    driver.door(InstanceId::new(), PORT).await.expect_err("there is no such instance");
    clear(&*driver, workload.id).await;
}

fn listener(door: OwnedFd) -> tokio::net::TcpListener {
    let door = TcpListener::from(door);
    door.set_nonblocking(true).unwrap();
    tokio::net::TcpListener::from_std(door).unwrap()
}
