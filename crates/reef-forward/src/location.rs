//! Where an agent's redirects lead. Browsers follow them on the hub's own origin, with a person's cookie and, but for 303,
//! with the method and body of the request: what an agent says of its own paths stays below the place where those are
//! served, and a change is not sent on to anywhere else.

use http::{HeaderMap, Method, StatusCode, header::LOCATION};

use crate::path;

/// Where the request that is answered went.
#[derive(Debug)]
pub(crate) struct Place {
    method: Method,
    upstream_path: String,
    /// The part of the client's path before the instance's own.
    prefix: String,
    /// Of the instance's server.
    port: u16,
}

impl Place {
    pub(crate) fn new(method: Method, client_path: &str, upstream_path: &str, port: u16) -> Self {
        // Without the slash at its end, the place itself is the instance's `/`.
        let prefix = client_path.strip_suffix(upstream_path).unwrap_or(client_path).trim_end_matches('/');
        Self { method, upstream_path: upstream_path.to_owned(), prefix: prefix.to_owned(), port }
    }

    /// Rewrites the `Location` of a response, or removes it.
    pub(crate) fn apply(&self, status: StatusCode, headers: &mut HeaderMap) {
        let mut given = headers.get_all(LOCATION).iter();
        let Some(first) = given.next() else { return };
        let only = first.to_str().ok().filter(|_| given.next().is_none());
        let rewritten = only.and_then(|text| self.rewrite(status, text)).and_then(|text| text.parse().ok());
        headers.remove(LOCATION);
        if let Some(location) = rewritten {
            headers.insert(LOCATION, location);
        }
    }

    fn rewrite(&self, status: StatusCode, location: &str) -> Option<String> {
        // Browsers take a backslash for a slash, and ignore some of what is invisible.
        if location.bytes().any(|b| !b.is_ascii_graphic() || b == b'\\') {
            return None;
        }
        if let Some(below) = self.below_own_origin(location) {
            return self.resolve(below);
        }
        let scheme =
            location.split_once(':').map(|(scheme, _)| scheme).filter(|scheme| !scheme.contains(['/', '?', '#']));
        if location.starts_with("//") || scheme.is_some() {
            let is_web = scheme.is_none_or(|s| s.eq_ignore_ascii_case("http") || s.eq_ignore_ascii_case("https"));
            let is_safe = matches!(self.method, Method::GET | Method::HEAD);
            let carries_change = !is_safe && status.is_redirection() && status != StatusCode::SEE_OTHER;
            return (is_web && !carries_change).then(|| location.to_owned());
        }
        self.resolve(location)
    }

    /// What follows the address under which the instance knows itself.
    fn below_own_origin<'a>(&self, location: &'a str) -> Option<&'a str> {
        let rest = location.strip_prefix("http://")?;
        let rest = rest.strip_prefix("127.0.0.1").or_else(|| rest.strip_prefix("localhost"))?;
        let rest = rest.strip_prefix(&format!(":{}", self.port))?;
        match rest {
            "" => Some("/"),
            rest => rest.starts_with('/').then_some(rest),
        }
    }

    /// RFC 3986 section 5.2 for a reference without scheme and authority.
    fn resolve(&self, reference: &str) -> Option<String> {
        let (path, tail) = reference.split_at(reference.find(['?', '#']).unwrap_or(reference.len()));
        let folder = self.upstream_path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let path = match path {
            "" => self.upstream_path.clone(),
            path if path.starts_with('/') => without_dots(path),
            path => without_dots(&format!("{folder}/{path}")),
        };
        // Dots that hide behind an encoding would climb out in the browser.
        path::validate(&path).ok()?;
        Some(format!("{}{path}{tail}", self.prefix))
    }
}

/// RFC 3986 section 5.2.4: `..` ends at the root.
fn without_dots(path: &str) -> String {
    let mut kept = Vec::new();
    let mut ends_in_folder = false;
    for segment in path.split('/').skip(1) {
        ends_in_folder = matches!(segment, "." | "..");
        match segment {
            "." => {}
            ".." => drop(kept.pop()),
            segment => kept.push(segment),
        }
    }
    if ends_in_folder {
        kept.push("");
    }
    format!("/{}", kept.join("/"))
}

#[cfg(test)]
mod tests;
