//! The page. Embedded in the binary; a debug build reads it from disk.

use axum::{
    body::Body,
    extract::Request,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, Method, StatusCode, header};
use reef_types::{ApiError, ErrorCode};
use rust_embed::RustEmbed;

use crate::http::error::Failure;

#[derive(RustEmbed)]
#[folder = "../../ui/dist"]
struct Assets;

/// No inline scripts, nothing from elsewhere, and nobody may frame the page.
const CONTENT_SECURITY_POLICY: &str = "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
    connect-src 'self'; img-src 'self' data:; font-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; \
    frame-ancestors 'none'";

/// A file of the page, or, for the paths of its views, the page itself.
pub(crate) async fn serve(request: Request) -> Response {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Failure(ApiError::new(ErrorCode::MethodNotAllowed, "this path takes GET only")).into_response();
    }
    let path = request.uri().path().trim_start_matches('/');
    let (name, file) = match Assets::get(path) {
        Some(file) => (path, file),
        // Names with an ending are files; a missing one must not come back as a page.
        None if path.rsplit('/').next().is_some_and(|last| last.contains('.')) => {
            return Failure(ApiError::new(ErrorCode::NotFound, "there is no such file")).into_response();
        }
        None => match Assets::get("index.html") {
            Some(file) => ("index.html", file),
            None => return Failure(ApiError::new(ErrorCode::NotFound, "this build has no page")).into_response(),
        },
    };
    let etag =
        format!("\"{}\"", file.metadata.sha256_hash()[..16].iter().map(|b| format!("{b:02x}")).collect::<String>());
    let hashed = name.starts_with("assets/");
    let mut response = if request.headers().get(header::IF_NONE_MATCH).is_some_and(|v| v.as_bytes() == etag.as_bytes())
    {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        Response::new(Body::from(file.data))
    };
    let headers = response.headers_mut();
    let kind = mime_guess::from_path(name).first_or_octet_stream();
    for (header, value) in [
        (header::CONTENT_TYPE, kind.as_ref()),
        (header::ETAG, &etag),
        (header::CACHE_CONTROL, if hashed { "public, max-age=31536000, immutable" } else { "no-cache" }),
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
    ] {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(header, value);
        }
    }
    response
}
