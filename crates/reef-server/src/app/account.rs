//! The owner's account: sign-in and sign-out.

use std::{
    net::IpAddr,
    sync::LazyLock,
    time::{Duration, Instant},
};

use reef_auth::{attempts::Key, password, token};
use reef_store::{SessionRow, UserRow};
use reef_types::{ApiError, ErrorCode, SessionId};
use secrecy::{ExposeSecret, SecretString};
use tokio::{sync::Semaphore, task::spawn_blocking};

use crate::{http::error::Outcome, hub::Inner};

/// Password checks at once: each takes 19 MiB and a core, by design.
const HASHES_AT_ONCE: usize = 2;
/// A session that is not used ends after this.
pub(crate) const SESSION_IDLE: Duration = Duration::from_secs(7 * 24 * 3600);
/// Every session ends after this.
pub(crate) const SESSION_MAX: Duration = Duration::from_secs(30 * 24 * 3600);

static HASHES: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new(HASHES_AT_ONCE));

pub(crate) fn check_name(name: &str) -> Result<(), ApiError> {
    let fine =
        (1..=40).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.@".contains(&b));
    if fine { Ok(()) } else { Err(ApiError::field("name", "1 to 40 letters, digits, '-', '_', '.' or '@'")) }
}

/// Hashes a password away from the runtime's threads.
pub(crate) async fn hash(password: SecretString) -> Result<String, ApiError> {
    blocking(move || password::hash(&password))
        .await?
        .map_err(|_| ApiError::new(ErrorCode::Internal, "the password could not be hashed"))
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, ApiError> {
    let busy = |_| ApiError::new(ErrorCode::Internal, "the sign-in is not working; see the hub's log");
    let _slot = HASHES.acquire().await.map_err(|_| ApiError::new(ErrorCode::ShuttingDown, "the hub is stopping"))?;
    spawn_blocking(work).await.map_err(busy)
}

/// Checks name and password; unknown names take as long as wrong passwords.
pub(crate) async fn sign_in(hub: &Inner, name: &str, password: SecretString, ip: IpAddr) -> Outcome<UserRow> {
    let now = Instant::now();
    let keys = [Key::account(name), Key::address(ip)];
    hub.attempts.lock().begin(&keys, now).map_err(|blocked| {
        ApiError::new(ErrorCode::RateLimited, blocked.to_string()).retry_after(blocked.retry_after.as_millis() as u64)
    })?;
    let user = hub.store.user_by_name(name).await?;
    let phc = user.as_ref().map(|user| user.password_phc.clone());
    let good = blocking(move || match phc {
        Some(phc) => password::verify(&password, phc.expose_secret()),
        None => password::verify_dummy(&password),
    })
    .await?;
    match user.filter(|_| good) {
        Some(user) => {
            hub.attempts.lock().succeeded(&keys);
            Ok(user)
        }
        None => Err(ApiError::new(ErrorCode::Unauthenticated, "name or password is wrong").into()),
    }
}

/// A fresh session; returns the secret for the cookie.
pub(crate) async fn open_session(hub: &Inner, user: &UserRow) -> Outcome<SecretString> {
    let session = token::Kind::Session.generate().map_err(|err| ApiError::new(ErrorCode::Internal, err.to_string()))?;
    let now = jiff::Timestamp::now();
    let row = SessionRow {
        id: SessionId::new(),
        hash: session.hash,
        user: user.id,
        created_at: now,
        seen_at: now,
        idle_expires_at: now + SESSION_IDLE,
        expires_at: now + SESSION_MAX,
    };
    hub.store.session_create(row).await?;
    Ok(session.secret)
}
