//! Package files and documents as a registry has them.

use base64::{Engine, engine::general_purpose::STANDARD};
use flate2::{Compression, write::GzEncoder};
use sha2::{Digest, Sha512};
use tar::{Builder, Header};

/// The `dist.integrity` of a file.
pub(crate) fn sri(file: &[u8]) -> String {
    format!("sha512-{}", STANDARD.encode(Sha512::digest(file)))
}

/// A package document with one version.
pub(crate) fn document(version: &str, tarball: &str, integrity: &str) -> String {
    let dist = serde_json::json!({ "tarball": tarball, "integrity": integrity, "shasum": "not used" });
    serde_json::json!({ "versions": { version: { "dist": dist } } }).to_string()
}

/// A package file with some files, all executable.
pub(crate) fn tarball(files: &[(&str, &str)]) -> Vec<u8> {
    let mut builder = Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (path, text) in files {
        let mut header = Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o755);
        builder.append_data(&mut header, format!("package/{path}"), text.as_bytes()).unwrap();
    }
    builder.into_inner().unwrap().finish().unwrap()
}
