//! What clients do: requests one after the other on kept connections, round trips of frames, frames without end.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result, bail};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
    time::{Instant, sleep},
};

use crate::{backend, frame};

/// Connections are opened and pools filled before anything counts.
const WARM_UP: Duration = Duration::from_millis(500);
/// Longer than the head of any answer.
const ANSWER_BYTES_MAX: usize = 64 << 10;
const CONNECT: &[u8] = br#"{"type":"req","id":"1","method":"connect","params":{"minProtocol":4,"maxProtocol":4,"client":{"id":"bench","version":"1","platform":"linux","mode":"cli"},"role":"operator","scopes":["operator.read"]}}"#;

/// Where to and how.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) addr: SocketAddr,
    pub(crate) http_path: String,
    pub(crate) socket_path: String,
    /// Header lines, each with its line end.
    pub(crate) headers: String,
}

/// What is done, by so many connections at once.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Work {
    Get { connections: usize },
    RoundTrip { connections: usize, bytes: usize },
    Stream { connections: usize },
}

/// What came of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outcome {
    /// Requests, round trips or large frames in a second.
    pub(crate) per_second: f64,
    /// Median time of one, in microseconds; 0 for streams.
    pub(crate) median_us: f64,
    pub(crate) count: f64,
}

/// Counts what is done while it counts.
#[derive(Default)]
struct Meter {
    counting: AtomicBool,
    bytes: AtomicU64,
}

/// Times of one connection, in microseconds.
type Times = Vec<u32>;

/// Works for `length` after a warm-up; `counted` is called at the beginning and the end of what counts.
pub(crate) async fn run(target: &Target, work: Work, length: Duration, mut counted: impl FnMut()) -> Result<Outcome> {
    let meter = Arc::new(Meter::default());
    let end = Instant::now() + WARM_UP + length;
    let mut connections = JoinSet::new();
    let count = match work {
        Work::Get { connections } | Work::RoundTrip { connections, .. } | Work::Stream { connections } => connections,
    };
    for _ in 0..count {
        let (target, meter) = (target.clone(), meter.clone());
        connections.spawn(async move {
            match work {
                Work::Get { .. } => get(&target, &meter, end).await,
                Work::RoundTrip { bytes, .. } => round_trip(&target, bytes, &meter, end).await,
                Work::Stream { .. } => stream(&target, &meter, end).await,
            }
        });
    }
    sleep(WARM_UP).await;
    counted();
    meter.counting.store(true, Ordering::Relaxed);
    let started = Instant::now();
    sleep(length).await;
    meter.counting.store(false, Ordering::Relaxed);
    let took = started.elapsed().as_secs_f64();
    counted();

    let mut times = Times::new();
    while let Some(ended) = connections.join_next().await {
        times.extend(ended.context("a connection broke")??);
    }
    times.sort_unstable();
    let frames = meter.bytes.load(Ordering::Relaxed) as f64 / backend::STREAM_FRAME_BYTES as f64;
    let count = if matches!(work, Work::Stream { .. }) { frames } else { times.len() as f64 };
    let median_us = times.get(times.len() / 2).map_or(0.0, |&time| f64::from(time));
    Ok(Outcome { per_second: count / took, median_us, count })
}

async fn connect(target: &Target) -> Result<TcpStream> {
    let stream = TcpStream::connect(target.addr).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn get(target: &Target, meter: &Meter, end: Instant) -> Result<Times> {
    let mut stream = connect(target).await?;
    let request = format!("GET {} HTTP/1.1\r\nhost: {}\r\n{}\r\n", target.http_path, target.addr, target.headers);
    let (mut buffer, mut times) = (Vec::with_capacity(ANSWER_BYTES_MAX), Times::new());
    while Instant::now() < end {
        let sent = Instant::now();
        stream.write_all(request.as_bytes()).await?;
        answer(&mut stream, &mut buffer).await?;
        if meter.counting.load(Ordering::Relaxed) {
            times.push(sent.elapsed().as_micros() as u32);
        }
    }
    Ok(times)
}

/// Reads an answer with a length.
async fn answer(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Result<()> {
    buffer.clear();
    let mut whole = None;
    while whole.is_none_or(|bytes| buffer.len() < bytes) {
        if stream.read_buf(buffer).await? == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        if whole.is_none()
            && let Some(head) = buffer.windows(4).position(|bytes| bytes == b"\r\n\r\n")
        {
            let text = String::from_utf8_lossy(&buffer[..head]);
            if !text.starts_with("HTTP/1.1 200") {
                bail!("refused: {}", String::from_utf8_lossy(buffer));
            }
            let length = backend::header(&text, "content-length").context("an answer without length")?;
            whole = Some(head + 4 + length.parse::<usize>()?);
        }
    }
    Ok(())
}

/// Upgrades and goes through the gateway's handshake.
async fn upgrade(target: &Target) -> Result<TcpStream> {
    let mut stream = connect(target).await?;
    let request = format!(
        "GET {} HTTP/1.1\r\nhost: {}\r\n{}connection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
         sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        target.socket_path, target.addr, target.headers
    );
    stream.write_all(request.as_bytes()).await?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        // Byte by byte: what follows the head belongs to the frames.
        head.push(stream.read_u8().await?);
    }
    if !head.starts_with(b"HTTP/1.1 101") {
        bail!("no upgrade: {}", String::from_utf8_lossy(&head));
    }
    let mut payload = Vec::new();
    frame::read(&mut stream, &mut payload).await?;
    stream.write_all(&frame::encode(CONNECT, true)).await?;
    frame::read(&mut stream, &mut payload).await?;
    Ok(stream)
}

async fn round_trip(target: &Target, bytes: usize, meter: &Meter, end: Instant) -> Result<Times> {
    let mut stream = upgrade(target).await?;
    let ours = frame::encode(&vec![b'x'; bytes], true);
    let mut theirs = frame::encode(&vec![b'x'; bytes], false);
    let mut times = Times::new();
    while Instant::now() < end {
        let sent = Instant::now();
        stream.write_all(&ours).await?;
        stream.read_exact(&mut theirs).await?;
        if meter.counting.load(Ordering::Relaxed) {
            times.push(sent.elapsed().as_micros() as u32);
        }
    }
    Ok(times)
}

async fn stream(target: &Target, meter: &Meter, end: Instant) -> Result<Times> {
    let mut stream = upgrade(target).await?;
    stream.write_all(&frame::encode(backend::STREAM, true)).await?;
    let mut buffer = vec![0; 256 << 10];
    while Instant::now() < end {
        let bytes = stream.read(&mut buffer).await?;
        if bytes == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        if meter.counting.load(Ordering::Relaxed) {
            meter.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        }
    }
    Ok(Times::new())
}
