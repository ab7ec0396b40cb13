//! The session cookie, as text: what is sent, and what is taken from what comes back.

use std::time::Duration;

const PLAIN_NAME: &str = "reef_session";
/// The browser itself makes sure that a cookie with this prefix was set over HTTPS, by this host, for all paths (RFC 6265bis
/// section 4.1.3.2): a neighbour cannot plant one.
const SECURE_NAME: &str = "__Host-reef_session";

/// The cookie of one listener; `https` says whether browsers reach it that way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionCookie {
    pub https: bool,
}

impl SessionCookie {
    /// The cookie's name.
    pub fn name(self) -> &'static str {
        if self.https { SECURE_NAME } else { PLAIN_NAME }
    }

    /// The value of `Set-Cookie` for a new session; a secret. Its age is rounded down to seconds.
    pub fn set(self, secret: &str, max_age: Duration) -> String {
        self.header(secret, max_age.as_secs())
    }

    /// The value of `Set-Cookie` that ends the session in the browser.
    pub fn clear(self) -> String {
        self.header("", 0)
    }

    /// The session's secret in the values of the `Cookie` headers of a request.
    ///
    /// None when there are two different ones: over plain HTTP a page on another port of the same host can plant a second
    /// one, and which of them is ours cannot be told.
    pub fn read<'a>(self, headers: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
        let pairs = headers.into_iter().flat_map(|header| header.split(';')).filter_map(|pair| pair.split_once('='));
        let mut values = pairs.filter(|(name, _)| name.trim() == self.name()).map(|(_, value)| value.trim());
        let first = values.next()?;
        values.all(|other| other == first).then_some(first).filter(|value| !value.is_empty())
    }

    fn header(self, value: &str, max_age_secs: u64) -> String {
        let secure = if self.https { "; Secure" } else { "" };
        format!("{}={value}; Path=/; Max-Age={max_age_secs}; HttpOnly; SameSite=Strict{secure}", self.name())
    }
}

/// Whether a cookie of this name is the hub's own, which must never reach an agent.
pub fn is_hub_cookie(name: &str) -> bool {
    name == PLAIN_NAME || name == SECURE_NAME
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: SessionCookie = SessionCookie { https: false };
    const SECURE: SessionCookie = SessionCookie { https: true };

    #[test]
    fn what_is_sent() {
        let day = Duration::from_secs(86_400);
        assert_eq!(PLAIN.set("abc", day), "reef_session=abc; Path=/; Max-Age=86400; HttpOnly; SameSite=Strict");
        assert_eq!(
            SECURE.set("abc", day),
            "__Host-reef_session=abc; Path=/; Max-Age=86400; HttpOnly; SameSite=Strict; Secure"
        );
        assert_eq!(SECURE.clear(), "__Host-reef_session=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict; Secure");
    }

    #[test]
    fn what_is_read() {
        for (headers, expect) in [
            (vec!["reef_session=abc"], Some("abc")),
            (vec!["a=1; reef_session=abc; b=2"], Some("abc")),
            (vec!["a=1;reef_session=abc"], Some("abc")),
            (vec!["a=1", "reef_session=abc"], Some("abc")),
            (vec!["reef_session=abc; reef_session=abc"], Some("abc")),
            (vec!["reef_session=a=b"], Some("a=b")),
            (vec!["reef_session=abc; reef_session=evil"], None),
            (vec!["reef_session=abc", "reef_session=evil"], None),
            (vec!["reef_session="], None),
            (vec!["xreef_session=abc; Reef_session=abc; reef_session"], None),
            (vec!["__Host-reef_session=abc"], None),
            (vec![""], None),
            (vec![], None),
        ] {
            assert_eq!(PLAIN.read(headers.iter().copied()), expect, "{headers:?}");
        }
        assert_eq!(SECURE.read(["__Host-reef_session=abc; reef_session=evil"]), Some("abc"));
        assert_eq!(SECURE.read(["reef_session=evil"]), None);
    }

    #[test]
    fn own_cookies_are_known() {
        assert!(is_hub_cookie(PLAIN.name()) && is_hub_cookie(SECURE.name()) && !is_hub_cookie("reef"));
    }
}
