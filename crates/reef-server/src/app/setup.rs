//! The first start: a one-time code makes the first owner.

use std::time::Duration;

use reef_auth::{Actor, password, token};
use reef_store::{AuditEntry, StoreError, UserRow};
use reef_types::{ApiError, ErrorCode};
use secrecy::{ExposeSecret, SecretString};

use super::account;
use crate::{http::error::Outcome, hub::Inner};

/// How long a setup code works.
const CODE_LIFETIME: Duration = Duration::from_secs(15 * 60);

/// A fresh code, when there is no owner yet; older codes die.
pub(crate) async fn new_code(hub: &Inner) -> Result<Option<SecretString>, StoreError> {
    if hub.store.owner_exists().await? {
        return Ok(None);
    }
    let Ok(code) = token::Kind::Setup.generate() else { return Ok(None) };
    hub.store.setup_code_put(code.hash, jiff::Timestamp::now() + CODE_LIFETIME).await?;
    Ok(Some(code.secret))
}

/// Makes the owner. Over the local socket the code may be left out: whoever may use the socket owns the data folder.
pub(crate) async fn run(
    hub: &Inner,
    actor: Option<&Actor>,
    code: Option<&SecretString>,
    name: String,
    password: SecretString,
    audit: AuditEntry,
) -> Outcome<UserRow> {
    if hub.store.owner_exists().await? {
        return Err(ApiError::new(ErrorCode::SetupDone, "this hub has an owner; sign in").into());
    }
    account::check_name(&name)?;
    password::check_rules(&password).map_err(|err| ApiError::field("password", err.to_string()))?;
    if !matches!(actor, Some(Actor::Local { .. })) {
        // Taken last: a mistyped password must not use up the code.
        let refused = || {
            ApiError::new(ErrorCode::Forbidden, "this setup link is used up or too old; restart the hub for a new one")
        };
        let hash = code.and_then(|code| token::Kind::Setup.hash_of(code.expose_secret())).ok_or_else(refused)?;
        if !hub.store.setup_code_take(hash, jiff::Timestamp::now()).await? {
            return Err(refused().into());
        }
    }
    let phc = account::hash(password).await?;
    match hub.store.owner_create(name, phc, audit).await {
        Err(StoreError::Conflict) => Err(ApiError::new(ErrorCode::SetupDone, "this hub has an owner; sign in").into()),
        other => Ok(other?),
    }
}
