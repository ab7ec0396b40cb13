//! The policy: which action needs which scope. One table, closed lists, nothing decided anywhere else.
//!
//! The owner in person (browser, local socket) may do everything; an API token may do what its scopes allow.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A part of the rights, to be given to an API token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Everything that the owner may do.
    All,
    /// Look at everything but secrets; change nothing.
    Read,
    /// Talk to agents, and see what is needed for that.
    Chat,
}

impl Scope {
    /// All scopes, the widest first.
    pub const ALL: [Scope; 3] = [Scope::All, Scope::Read, Scope::Chat];

    /// The scope as the API spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Scope::All => "all",
            Scope::Read => "read",
            Scope::Chat => "chat",
        }
    }

    /// Whether a token with this scope may do this.
    pub fn allows(self, action: Action) -> bool {
        self == Scope::All || action.narrow_scopes().contains(&self)
    }
}

/// A scope that is none of the known ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a scope is one of `all`, `read` and `chat`")]
pub struct ScopeError;

impl FromStr for Scope {
    type Err = ScopeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Scope::ALL.into_iter().find(|scope| scope.as_str() == text).ok_or(ScopeError)
    }
}

/// The scopes of one token; what one of them allows is allowed. None allow nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scopes(Vec<Scope>);

impl Scopes {
    /// Reads scopes as they are spelled in requests and in the database. An unknown one is an error, because leaving it
    /// out could turn a token of a newer version into one that means something else.
    pub fn parse<S: AsRef<str>>(texts: &[S]) -> Result<Self, ScopeError> {
        texts.iter().map(|text| text.as_ref().parse()).collect::<Result<_, _>>().map(Self)
    }

    /// Whether one of them allows this.
    pub fn allow(&self, action: Action) -> bool {
        self.0.iter().any(|scope| scope.allows(action))
    }

    /// As the database and the API spell them.
    pub fn to_texts(&self) -> Vec<String> {
        self.0.iter().map(|scope| scope.as_str().to_owned()).collect()
    }
}

/// An action that the actor has no right to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the credential does not allow {action}")]
pub struct Denied {
    pub action: Action,
}

macro_rules! actions {
    ($($(#[$doc:meta])* $name:ident = $text:literal, [$($scope:ident),*];)*) => {
        /// Everything that can be asked for. Each operation of the API names exactly one.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Action {
            $($(#[$doc])* $name,)*
        }

        impl Action {
            /// All actions, in the order of the table.
            pub const ALL: &[Action] = &[$(Action::$name,)*];

            /// The action as the audit log spells it.
            pub fn as_str(self) -> &'static str {
                match self { $(Action::$name => $text,)* }
            }

            /// The scopes besides `all` that allow it.
            fn narrow_scopes(self) -> &'static [Scope] {
                match self { $(Action::$name => &[$(Scope::$scope),*],)* }
            }
        }
    };
}

actions! {
    InstanceList = "instance.list", [Read, Chat];
    InstanceRead = "instance.read", [Read, Chat];
    InstanceCreate = "instance.create", [];
    InstanceStart = "instance.start", [];
    InstanceStop = "instance.stop", [];
    InstanceRestart = "instance.restart", [];
    InstanceDelete = "instance.delete", [];
    /// Shows the secret of the instance's own gateway.
    InstanceToken = "instance.token", [];
    /// Reads conversations.
    InstanceChatRead = "instance.chat.read", [Read, Chat];
    /// Sends messages and aborts turns.
    InstanceChat = "instance.chat", [Chat];
    /// Reaches the agent's own HTTP surface, which can do anything that the agent can.
    InstanceProxy = "instance.proxy", [];
    /// Speaks the agent gateway's own protocol as an operator.
    InstanceConnect = "instance.connect", [];
    InstanceLogs = "instance.logs", [Read];
    /// Names of credentials that could be given to an instance, never their values.
    CredentialList = "credential.list", [Read];
    AgentRead = "agent.read", [Read];
    AgentInstall = "agent.install", [];
    AgentRemove = "agent.remove", [];
    JobRead = "job.read", [Read, Chat];
    JobCancel = "job.cancel", [];
    ProviderRead = "provider.read", [Read];
    ProviderWrite = "provider.write", [];
    TokenRead = "token.read", [Read];
    TokenWrite = "token.write", [];
    SessionRead = "session.read", [Read, Chat];
    AuditRead = "audit.read", [Read];
    SystemRead = "system.read", [Read];
    EventsRead = "events.read", [Read, Chat];
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests;
