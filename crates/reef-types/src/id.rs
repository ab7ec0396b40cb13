//! Typed ids. The text form carries a prefix (`ins_…`), so that a leaked or mixed-up id is recognised at sight.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Why a text is not an id of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an id: expected `{prefix}_` followed by a UUID")]
pub struct ParseIdError {
    prefix: &'static str,
}

macro_rules! typed_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Uuid);

        impl $name {
            /// The part of the text form before the underscore.
            pub const PREFIX: &'static str = $prefix;

            /// A new id; ids made later sort later (UUID version 7, RFC 9562 section 5.7).
            #[expect(clippy::new_without_default, reason = "a fresh id is not a default value")]
            pub fn new() -> Self {
                Self(Uuid::now_v7())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "_{}"), self.0.simple())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let err = ParseIdError { prefix: $prefix };
                let uuid = text.strip_prefix(concat!($prefix, "_")).ok_or(err.clone())?;
                // Only the canonical form: one id has one spelling, in logs, folders and URLs.
                if uuid.len() != 32 || uuid.bytes().any(|b| b.is_ascii_uppercase()) {
                    return Err(err);
                }
                Uuid::try_parse(uuid).map(Self).map_err(|_| err)
            }
        }

        impl TryFrom<String> for $name {
            type Error = ParseIdError;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.to_string()
            }
        }
    };
}

typed_id!(
    /// One row of the audit log.
    AuditId,
    "aud"
);
typed_id!(
    /// One agent instance.
    InstanceId,
    "ins"
);
typed_id!(
    /// One piece of long work.
    JobId,
    "job"
);
typed_id!(
    /// One signed-in browser.
    SessionId,
    "ses"
);
typed_id!(
    /// One API token.
    TokenId,
    "tok"
);
typed_id!(
    /// One person.
    UserId,
    "usr"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_form_round_trips_and_nothing_else_parses() {
        let id = InstanceId::new();
        assert_eq!(id.to_string().parse::<InstanceId>(), Ok(id));
        let hex = "0190f5c2a0007000800000000000abcd";
        for bad in [
            "",
            "ins_",
            hex,
            &format!("job_{hex}"),
            &format!("ins_{}", hex.to_uppercase()),
            "ins_0190f5c2-a000-7000-8000-00000000abcd",
        ] {
            assert!(bad.parse::<InstanceId>().is_err(), "{bad}");
        }
    }
}
