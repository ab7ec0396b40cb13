//! Asks the gateway over HTTP whether it is ready for work. A connection is accepted before that.

use std::time::Duration;

use reef_driver::Dial;
use reef_types::InstanceId;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

use super::GATEWAY_PORT;

/// Limit for one question.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

/// Enough of the answer to see its status, in bytes: `HTTP/1.1 200 `.
const STATUS_LINE_BYTES: usize = 13;

/// Whether `/readyz` answers 200 now.
pub(crate) async fn is_ready(dial: &dyn Dial, id: InstanceId) -> bool {
    timeout(PROBE_TIMEOUT, probe(dial, id)).await.ok().flatten().is_some_and(|line| is_ok(&line))
}

async fn probe(dial: &dyn Dial, id: InstanceId) -> Option<[u8; STATUS_LINE_BYTES]> {
    let mut io = dial.dial(id, GATEWAY_PORT).await.ok()?;
    let request = format!("GET /readyz HTTP/1.1\r\nHost: 127.0.0.1:{GATEWAY_PORT}\r\nConnection: close\r\n\r\n");
    io.write_all(request.as_bytes()).await.ok()?;
    io.flush().await.ok()?;
    let mut line = [0; STATUS_LINE_BYTES];
    io.read_exact(&mut line).await.ok()?;
    Some(line)
}

fn is_ok(line: &[u8]) -> bool {
    line.starts_with(b"HTTP/1.") && line.get(8..) == Some(b" 200 ".as_slice())
}

#[cfg(test)]
mod tests {
    use super::is_ok;

    #[test]
    fn only_200_is_ready() {
        assert!(is_ok(b"HTTP/1.1 200 "));
        for bad in [b"HTTP/1.1 503 ", b"HTTP/1.1 2000", b"SSH-2.0-x 200", b"HTTP/2.0 200 "] {
            assert!(!is_ok(bad), "{}", String::from_utf8_lossy(bad));
        }
    }
}
