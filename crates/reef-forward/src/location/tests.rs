use http::HeaderValue;

use super::*;

fn rewrite(method: &Method, status: u16, client: &str, upstream: &str, location: &str) -> Option<String> {
    let mut headers = HeaderMap::new();
    headers.insert(LOCATION, HeaderValue::from_str(location).unwrap());
    let place = Place::new(method.clone(), client, upstream, 18_789);
    place.apply(StatusCode::from_u16(status).unwrap(), &mut headers);
    headers.get(LOCATION).map(|value| value.to_str().unwrap().to_owned())
}

#[test]
fn an_agents_own_paths_stay_below_its_place() {
    const BASE: &str = "/api/instances/scout/proxy";
    for (upstream, location, expect) in [
        ("/a/b", "/login?next=/x#y", Some("/login?next=/x#y")),
        ("/a/b", "/", Some("/")),
        ("/a/b", "c", Some("/a/c")),
        ("/a/b", "./c", Some("/a/c")),
        ("/a/b", "../c/", Some("/c/")),
        ("/a/b", "..", Some("/")),
        ("/a/b", "?x=1", Some("/a/b?x=1")),
        ("/a/b", "#f", Some("/a/b#f")),
        ("/a/b", "c?x=a:b", Some("/a/c?x=a:b")),
        ("/a/b", "http://127.0.0.1:18789/c", Some("/c")),
        ("/a/b", "http://localhost:18789", Some("/")),
        // Nothing climbs out.
        ("/a/b", "../../../../tokens", Some("/tokens")),
        ("/a/b", "/../../../tokens", Some("/tokens")),
        ("/a/b", "http://127.0.0.1:18789/../../tokens", Some("/tokens")),
        ("/a/b", "/%2e%2e/%2e%2e/tokens", None),
        ("/a/b", "/..%2f..%2ftokens", None),
        ("/a/b", "/\\..\\tokens", None),
        ("/a/b", "\\\\evil.test/", None),
        ("/a/b", "/a\t/b", None),
        ("/a/b", "/a//b", None),
    ] {
        let client = format!("{BASE}{upstream}");
        let expect = expect.map(|path| format!("{BASE}{path}"));
        for (method, status) in [(Method::GET, 302), (Method::DELETE, 307), (Method::POST, 201)] {
            assert_eq!(rewrite(&method, status, &client, upstream, location), expect, "{method} {location}");
        }
    }
    // Without a slash at the end of the client's path a browser would go on one level too high.
    for location in ["tokens", "/tokens"] {
        assert_eq!(rewrite(&Method::GET, 302, BASE, "/", location), Some(format!("{BASE}/tokens")));
    }
}

#[test]
fn a_change_is_not_sent_on_to_anywhere_else() {
    for location in [
        "http://127.0.0.1:7700/api/tokens",
        "//localhost:7700/api/tokens",
        "https://example.com/",
        "http://127.0.0.1:187890/",
        "http://127.0.0.1:18789@example.com/",
    ] {
        for (method, status, passes) in [
            (Method::GET, 302, true),
            (Method::HEAD, 308, true),
            (Method::POST, 303, true),
            (Method::POST, 201, true),
            (Method::POST, 302, false),
            (Method::POST, 307, false),
            (Method::DELETE, 301, false),
            (Method::PUT, 308, false),
        ] {
            let expect = passes.then(|| location.to_owned());
            assert_eq!(rewrite(&method, status, "/p/a", "/a", location), expect, "{method} {status} {location}");
        }
    }
    for location in ["javascript:alert(1)", "data:text/html,x", "file:///etc/passwd"] {
        assert_eq!(rewrite(&Method::GET, 302, "/p/a", "/a", location), None, "{location}");
    }
}

#[test]
fn two_places_are_none() {
    let mut headers = HeaderMap::new();
    headers.append(LOCATION, HeaderValue::from_static("/a"));
    headers.append(LOCATION, HeaderValue::from_static("/b"));
    Place::new(Method::GET, "/p/a", "/a", 1).apply(StatusCode::FOUND, &mut headers);
    assert!(!headers.contains_key(LOCATION));
}
