//! Who may be at the other end of the socket. The kernel says who it is; nothing the peer sends is believed for this.

use tokio::net::UnixStream;

/// The user ids that are accepted at the other end.
#[derive(Debug, Clone)]
pub(crate) struct TrustedUids(Vec<u32>);

impl TrustedUids {
    /// Root, the user of this process, and `others`.
    pub(crate) fn with(others: &[u32]) -> Self {
        let mut uids = vec![0, rustix::process::geteuid().as_raw()];
        uids.extend_from_slice(others);
        Self(uids)
    }

    /// The uid of the peer when it is not one of these, or none when the kernel does not tell.
    pub(crate) fn check(&self, stream: &UnixStream) -> Result<(), Stranger> {
        match stream.peer_cred() {
            Ok(cred) if self.0.contains(&cred.uid()) => Ok(()),
            Ok(cred) => Err(Stranger { uid: Some(cred.uid()) }),
            Err(_) => Err(Stranger { uid: None }),
        }
    }
}

/// A peer that is not trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stranger {
    pub(crate) uid: Option<u32>,
}

impl std::fmt::Display for Stranger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.uid {
            Some(uid) => write!(f, "user {uid}"),
            None => f.write_str("an unknown user"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_listed_users_are_trusted() {
        let (a, _b) = UnixStream::pair().unwrap();
        let me = rustix::process::geteuid().as_raw();
        assert_eq!(TrustedUids::with(&[]).check(&a), Ok(()));
        assert_eq!(TrustedUids(vec![me + 1]).check(&a), Err(Stranger { uid: Some(me) }));
    }
}
