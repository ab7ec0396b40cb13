use super::*;

fn map(pairs: &[(&str, &str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in pairs {
        map.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
    }
    map
}

fn names(map: &HeaderMap) -> Vec<&str> {
    let mut names: Vec<_> = map.keys().map(HeaderName::as_str).collect();
    names.sort_unstable();
    names
}

#[test]
fn request_headers() {
    let mut headers = map(&[
        ("host", "hub.example"),
        ("connection", "close, X-Secret-Hop"),
        ("x-secret-hop", "1"),
        ("keep-alive", "timeout=5"),
        ("transfer-encoding", "chunked"),
        ("te", "gzip, trailers"),
        ("upgrade", "h2c"),
        ("expect", "100-continue"),
        ("authorization", "Bearer reef_x"),
        ("proxy-authorization", "Basic eA=="),
        ("forwarded", "for=1.2.3.4"),
        ("x-forwarded-for", "1.2.3.4"),
        ("x-forwarded-anything", "1"),
        ("x-real-ip", "1.2.3.4"),
        ("x-openclaw-scopes", "operator.admin"),
        ("x-instance-id", "a"),
        ("cookie", "reef_session=a; another_service=token"),
        ("cookie", "lang=en"),
        ("range", "bytes=0-1"),
        ("if-none-match", "\"x\""),
        ("content-type", "text/plain"),
    ]);
    to_upstream(&mut headers, HeaderValue::from_static("127.0.0.1:80"), "r-1");
    assert_eq!(names(&headers), ["content-type", "host", "if-none-match", "range", "te", "x-request-id"]);
    assert_eq!(headers["host"], "127.0.0.1:80");
    assert_eq!(headers["te"], "trailers");
}

#[test]
fn response_headers() {
    let kept = [
        ("accept-ranges", "bytes"),
        ("cache-control", "max-age=1"),
        ("content-disposition", "attachment; filename=\"a\""),
        ("content-encoding", "br"),
        ("content-language", "en"),
        ("content-length", "3"),
        ("content-range", "bytes 0-2/9"),
        ("content-type", "text/html"),
        ("etag", "\"x\""),
        ("expires", "0"),
        ("last-modified", "x"),
        ("location", "/x"),
        ("trailer", "x-sum"),
        ("vary", "accept"),
        ("x-ratelimit-remaining", "1"),
    ];
    let mut headers = map(&kept);
    for name in RESPONSE_DENIED.iter().chain(HOP_BY_HOP) {
        headers.append(*name, HeaderValue::from_static("x-named"));
    }
    headers.append("x-named", HeaderValue::from_static("1"));
    headers.append("content-security-policy", HeaderValue::from_static("default-src *"));
    to_client(&mut headers);
    let mut expect: Vec<&str> = kept.iter().map(|(name, _)| *name).collect();
    expect.extend(["content-security-policy", "cross-origin-resource-policy", "x-content-type-options"]);
    expect.sort_unstable();
    assert_eq!(names(&headers), expect);
    assert_eq!(headers.get_all("content-security-policy").iter().collect::<Vec<_>>(), ["sandbox"]);
}

#[test]
fn code_is_not_served() {
    for (name, value, expect) in [
        ("service-worker", "script", true),
        ("sec-fetch-dest", "script", true),
        ("sec-fetch-dest", "serviceworker", true),
        ("sec-fetch-dest", "document", false),
        ("sec-fetch-dest", "image", false),
        ("sec-fetch-dest", "empty", false),
        ("accept", "script", false),
    ] {
        assert_eq!(wants_code(&map(&[(name, value)])), expect, "{name}: {value}");
    }
}
