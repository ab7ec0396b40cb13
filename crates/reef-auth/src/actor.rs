//! Who asks, and by which credential.

use std::fmt;

use reef_types::{SessionId, TokenId, UserId};

use crate::{Action, Denied, Scopes};

/// By which credential the owner is here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Via {
    /// A signed-in browser; its writes need the checks of [`crate::origin`].
    Session(SessionId),
    /// An API token; may do what its scopes allow.
    Token { id: TokenId, scopes: Scopes },
}

/// Who asks. Made by authentication only, and passed down to whatever is done for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    Owner {
        user: UserId,
        name: String,
        via: Via,
    },
    /// A process on this machine, vouched for by the kernel on the Unix socket, that may read the hub's files anyway.
    /// Also before there is an owner.
    Local {
        uid: u32,
    },
}

impl Actor {
    /// Whether this actor may do this.
    pub fn authorize(&self, action: Action) -> Result<(), Denied> {
        match self {
            Actor::Owner { via: Via::Token { scopes, .. }, .. } if !scopes.allow(action) => Err(Denied { action }),
            Actor::Owner { .. } | Actor::Local { .. } => Ok(()),
        }
    }

    /// The browser's session, if it is one: its end ends what it started.
    pub fn session(&self) -> Option<SessionId> {
        match self {
            Actor::Owner { via: Via::Session(id), .. } => Some(*id),
            _ => None,
        }
    }

    /// The person, where one is known.
    pub fn user(&self) -> Option<UserId> {
        match self {
            Actor::Owner { user, .. } => Some(*user),
            Actor::Local { .. } => None,
        }
    }
}

/// For the audit log: `owner:ada session:ses_…`, `owner:ada token:tok_…`, `local:uid=1000`.
impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Actor::Owner { name, via: Via::Session(id), .. } => write!(f, "owner:{name} session:{id}"),
            Actor::Owner { name, via: Via::Token { id, .. }, .. } => write!(f, "owner:{name} token:{id}"),
            Actor::Local { uid } => write!(f, "local:uid={uid}"),
        }
    }
}
