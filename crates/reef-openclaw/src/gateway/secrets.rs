//! The secrets of one connection, so that nothing the gateway says of them is passed on: an error may quote what it refused.

use reef_driver::AgentError;
use secrecy::{ExposeSecret, SecretString};

use super::error::{ConnectError, Refusal};

/// What stands in place of a secret.
const COVER: &str = "[secret]";

/// Secrets that no text for people may hold.
#[derive(Debug, Clone, Default)]
pub(crate) struct Secrets(Vec<SecretString>);

impl Secrets {
    /// The shared token, and the device tokens that are known.
    pub(crate) fn new<'a>(secrets: impl IntoIterator<Item = &'a SecretString>) -> Self {
        Self(secrets.into_iter().filter(|secret| !secret.expose_secret().is_empty()).cloned().collect())
    }

    /// A text without the secrets.
    pub(crate) fn cover(&self, text: &str) -> String {
        let covered = |text: String, secret: &SecretString| text.replace(secret.expose_secret(), COVER);
        self.0.iter().fold(text.to_owned(), covered)
    }

    /// A refusal as the caller may see it. It is covered before it is shortened: half a secret is still one.
    pub(crate) fn refused(&self, refusal: Refusal) -> AgentError {
        AgentError::from(self.cover_refusal(refusal))
    }

    /// The same for the failure of a connection.
    pub(crate) fn failed(&self, error: ConnectError) -> ConnectError {
        match error {
            ConnectError::Refused(refusal) => ConnectError::Refused(self.cover_refusal(refusal)),
            ConnectError::Closed { code, reason } => ConnectError::Closed { code, reason: self.cover(&reason) },
            ConnectError::Protocol(what) => ConnectError::Protocol(self.cover(&what)),
            ConnectError::Version { theirs } => ConnectError::Version { theirs: self.cover(&theirs) },
            ConnectError::Unreachable(why) => ConnectError::Unreachable(self.cover(&why)),
            other @ (ConnectError::Timeout { .. } | ConnectError::NoAdmin | ConnectError::Credential(_)) => other,
        }
    }

    fn cover_refusal(&self, mut refusal: Refusal) -> Refusal {
        refusal.code = self.cover(&refusal.code);
        refusal.message = self.cover(&refusal.message);
        refusal
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_is_quoted() {
        let [token, device] = ["tok-1234", "dev-5678"].map(SecretString::from);
        let secrets = Secrets::new([&token, &device, &SecretString::from("")]);
        let quote = "bad token tok-1234 of dev-5678".to_owned();
        let cover = "bad token [secret] of [secret]";
        assert_eq!(secrets.cover(&quote), cover);
        assert_eq!(secrets.refused(Refusal::ours(quote.clone())), AgentError::Refused(cover.to_owned()));
        for error in [
            ConnectError::Refused(Refusal::ours(quote.clone())),
            ConnectError::Closed { code: 1008, reason: quote.clone() },
            ConnectError::Protocol(quote.clone()),
            ConnectError::Version { theirs: quote.clone() },
            ConnectError::Unreachable(quote.clone()),
        ] {
            let told = secrets.failed(error).to_string();
            assert!(told.contains(cover), "{told}");
        }
        // At the place where a long message is cut.
        let long = format!("{}tok-1234", "x".repeat(496));
        assert!(!secrets.refused(Refusal::ours(long)).to_string().contains("tok-"));
    }
}
