//! The upstream of all that is measured: the least work that still is HTTP and WebSocket, so that what is in front of it
//! shows. After the gateway's handshake it echoes frames, or sends large ones as fast as they are taken.

use std::{io, net::SocketAddr};

use anyhow::Result;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::frame;

/// A client that begins with this wants frames without end.
pub(crate) const STREAM: &[u8] = b"stream";
/// Payload of such a frame.
pub(crate) const STREAM_FRAME_BYTES: usize = 64 << 10;
/// The head of a request is shorter than this.
const HEAD_BYTES_MAX: usize = 16 << 10;

const SMALL: &str = r#"{"ok":true,"status":"live","note":"as short as most answers of an API are"}"#;
const CHALLENGE: &str = r#"{"type":"event","event":"connect.challenge","payload":{"nonce":"n","ts":1}}"#;
const HELLO: &str = r#"{"type":"res","id":"1","ok":true,"payload":{"type":"hello-ok","protocol":4}}"#;

/// Listens on loopback until the runtime ends.
pub(crate) async fn start() -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let addr = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // Clients leave in the middle of things; that is how a round ends.
            tokio::spawn(async move { serve(stream).await.or(Ok::<(), io::Error>(())) });
        }
    });
    Ok(addr)
}

async fn serve(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let answer =
        format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{SMALL}", SMALL.len());
    let mut head = Vec::with_capacity(HEAD_BYTES_MAX);
    loop {
        head.clear();
        while !head.ends_with(b"\r\n\r\n") {
            if stream.read_buf(&mut head).await? == 0 || head.len() > HEAD_BYTES_MAX {
                return Ok(());
            }
        }
        let text = String::from_utf8_lossy(&head);
        match header(&text, "sec-websocket-key") {
            Some(key) => return socket(stream, key).await,
            None => stream.write_all(answer.as_bytes()).await?,
        }
    }
}

/// The value of a header in the text of a head.
pub(crate) fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

async fn socket(stream: TcpStream, key: &str) -> io::Result<()> {
    let accept = derive_accept_key(key.as_bytes());
    let mut stream = BufReader::with_capacity(64 << 10, stream);
    let switch = format!(
        "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: {accept}\r\n\r\n"
    );
    stream.write_all(switch.as_bytes()).await?;
    let mut payload = Vec::new();
    stream.write_all(&frame::encode(CHALLENGE.as_bytes(), false)).await?;
    frame::read(&mut stream, &mut payload).await?;
    stream.write_all(&frame::encode(HELLO.as_bytes(), false)).await?;
    loop {
        frame::read(&mut stream, &mut payload).await?;
        if payload.starts_with(STREAM) {
            let large = frame::encode(&vec![b'x'; STREAM_FRAME_BYTES], false);
            loop {
                stream.write_all(&large).await?;
            }
        }
        stream.write_all(&frame::encode(&payload, false)).await?;
    }
}
