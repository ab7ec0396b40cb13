//! Requests that a foreign page makes a browser send: recognised by the headers that no page can forge.
//!
//! Only for requests that are authenticated by a cookie. A bearer token is never added by a browser on its own, so it
//! needs none of this.

/// Why a request with a cookie was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OriginError {
    #[error("a change with a session cookie needs the Origin header of this hub's own page")]
    MissingOrigin,
    #[error("the request comes from another origin")]
    ForeignOrigin,
    #[error("a change with a session cookie needs the Sec-Fetch-Site header, which every current browser sends")]
    MissingSite,
    #[error("the request comes from another site")]
    ForeignSite,
}

/// Checks a change: `Origin` must be exactly one of the hub's own, and `Sec-Fetch-Site` must say `same-origin`.
///
/// Own origins are as browsers write them: `http://127.0.0.1:7700`, without a path, without the scheme's usual port.
pub fn check_write(origin: Option<&str>, sec_fetch_site: Option<&str>, own: &[String]) -> Result<(), OriginError> {
    check_origin(origin, own)?;
    check_site(sec_fetch_site.ok_or(OriginError::MissingSite)?)
}

/// Checks a WebSocket upgrade: as [`check_write`], but not every browser sends `Sec-Fetch-Site` with it.
pub fn check_upgrade(origin: Option<&str>, sec_fetch_site: Option<&str>, own: &[String]) -> Result<(), OriginError> {
    check_origin(origin, own)?;
    sec_fetch_site.map_or(Ok(()), check_site)
}

/// Bytes, not parsed URLs: browsers write an origin in one way, and whoever writes it differently is not one. `null`,
/// which sandboxed and local pages send, is never an own origin.
fn check_origin(origin: Option<&str>, own: &[String]) -> Result<(), OriginError> {
    let origin = origin.ok_or(OriginError::MissingOrigin)?;
    if origin != "null" && own.iter().any(|own| own == origin) { Ok(()) } else { Err(OriginError::ForeignOrigin) }
}

/// `same-site` is foreign: another port and another host name below the same domain are other pages.
fn check_site(site: &str) -> Result<(), OriginError> {
    if site == "same-origin" { Ok(()) } else { Err(OriginError::ForeignSite) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_own_pages_may_write() {
        use OriginError::{ForeignOrigin, ForeignSite, MissingOrigin, MissingSite};
        let own = ["http://127.0.0.1:7700".to_owned(), "https://reef.example".to_owned(), "null".to_owned()];
        let same = Some("same-origin");
        for (origin, site, write, upgrade) in [
            (Some("http://127.0.0.1:7700"), same, Ok(()), Ok(())),
            (Some("https://reef.example"), same, Ok(()), Ok(())),
            (Some("https://reef.example"), None, Err(MissingSite), Ok(())),
            (Some("https://reef.example"), Some("same-site"), Err(ForeignSite), Err(ForeignSite)),
            (Some("https://reef.example"), Some("cross-site"), Err(ForeignSite), Err(ForeignSite)),
            (Some("https://reef.example"), Some("none"), Err(ForeignSite), Err(ForeignSite)),
            (Some("https://reef.example"), Some("same-origin, cross-site"), Err(ForeignSite), Err(ForeignSite)),
            (Some("https://reef.example"), Some(""), Err(ForeignSite), Err(ForeignSite)),
            (None, same, Err(MissingOrigin), Err(MissingOrigin)),
            (None, None, Err(MissingOrigin), Err(MissingOrigin)),
            (Some("null"), same, Err(ForeignOrigin), Err(ForeignOrigin)),
            (Some(""), same, Err(ForeignOrigin), Err(ForeignOrigin)),
            (Some("http://reef.example"), same, Err(ForeignOrigin), Err(ForeignOrigin)),
            (Some("https://reef.example:8443"), same, Err(ForeignOrigin), Err(ForeignOrigin)),
            (Some("https://reef.example.evil.test"), same, Err(ForeignOrigin), Err(ForeignOrigin)),
            (Some("https://scout.agents.reef.example"), same, Err(ForeignOrigin), Err(ForeignOrigin)),
            (Some("https://reef.example/"), same, Err(ForeignOrigin), Err(ForeignOrigin)),
            (Some("HTTPS://reef.example"), same, Err(ForeignOrigin), Err(ForeignOrigin)),
            (Some("http://127.0.0.1:77000"), same, Err(ForeignOrigin), Err(ForeignOrigin)),
            (Some("http://localhost:7700"), same, Err(ForeignOrigin), Err(ForeignOrigin)),
        ] {
            assert_eq!(check_write(origin, site, &own), write, "write {origin:?} {site:?}");
            assert_eq!(check_upgrade(origin, site, &own), upgrade, "upgrade {origin:?} {site:?}");
        }
        assert_eq!(check_write(Some("https://reef.example"), same, &[]), Err(ForeignOrigin));
    }
}
