//! One TLS provider for the whole process; clients panic where none was chosen.

pub(crate) fn init() {
    // Fails only when one was chosen before, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
