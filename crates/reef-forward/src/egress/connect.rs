//! From a name to a connection, by one resolution only.

use std::{net::SocketAddr, time::Duration};

use reef_types::{ApiError, ErrorCode};
use tokio::net::TcpStream;

use super::EgressPolicy;

/// Until a name is resolved.
const RESOLVE: Duration = Duration::from_secs(5);
/// Until one address has taken the connection.
const CONNECT: Duration = Duration::from_secs(10);
/// Addresses of one name that are tried.
const ADDRESSES_MAX: usize = 4;

/// Connects to a host, by name or address, where the policy permits it.
pub(super) async fn connect(policy: &EgressPolicy, host: &str, port: u16) -> Result<TcpStream, ApiError> {
    // The resolver also reads the odd spellings of addresses (`0x7f.1`, `2130706433`); what counts is what comes out.
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let found = match tokio::time::timeout(RESOLVE, tokio::net::lookup_host((host, port))).await {
        Ok(Ok(found)) => found.collect::<Vec<_>>(),
        Ok(Err(_)) => return Err(ApiError::new(ErrorCode::UpstreamFailed, "the host name cannot be resolved")),
        Err(_) => return Err(ApiError::new(ErrorCode::UpstreamTimeout, "the host name was not resolved in time")),
    };
    let permitted: Vec<SocketAddr> =
        found.into_iter().filter(|addr| policy.permits(*addr)).take(ADDRESSES_MAX).collect();
    if permitted.is_empty() {
        return Err(ApiError::new(
            ErrorCode::Forbidden,
            "this instance may reach public internet addresses only; private, local and metadata addresses are shut",
        ));
    }
    let mut last = ApiError::new(ErrorCode::UpstreamFailed, "the host does not take the connection");
    for addr in permitted {
        match tokio::time::timeout(CONNECT, TcpStream::connect(addr)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(_)) => {}
            Err(_) => last = ApiError::new(ErrorCode::UpstreamTimeout, "the host did not take the connection in time"),
        }
    }
    Err(last)
}
