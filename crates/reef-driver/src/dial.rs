//! Opening a connection into an instance.

use async_trait::async_trait;
use reef_types::InstanceId;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::DriverError;

/// A byte stream in both directions.
pub trait Io: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

/// A connection whose kind the caller need not know.
pub type BoxIo = Box<dyn Io>;

/// Connects to a port that an instance listens on, on its own loopback.
#[async_trait]
pub trait Dial: Send + Sync {
    /// # Errors
    /// `NotFound` when no such instance runs, `Unavailable` when the port does not answer or the node is away.
    async fn dial(&self, id: InstanceId, port: u16) -> Result<BoxIo, DriverError>;
}
