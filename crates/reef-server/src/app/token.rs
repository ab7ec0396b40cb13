//! API tokens.

use reef_auth::{Actor, Scopes, token};
use reef_store::{AuditEntry, TokenRow};
use reef_types::{ApiError, ErrorCode, TokenId};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{http::error::Outcome, hub::Inner};

const TOKENS_MAX: usize = 200;
const NAME_CHARS_MAX: usize = 80;

/// A new token.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct TokenCreate {
    /// What it is for.
    pub(crate) name: String,
    /// `all`, `read`, `chat`; nothing means `all`.
    #[serde(default)]
    pub(crate) scopes: Vec<String>,
}

/// One token; never its secret.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TokenView {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) scopes: Vec<String>,
    #[schema(value_type = String, format = DateTime)]
    pub(crate) created_at: jiff::Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub(crate) last_used_at: Option<jiff::Timestamp>,
}

impl From<TokenRow> for TokenView {
    fn from(row: TokenRow) -> Self {
        Self {
            id: row.id.to_string(),
            name: row.name,
            scopes: row.scopes,
            created_at: row.created_at,
            last_used_at: row.last_used_at,
        }
    }
}

pub(crate) async fn list(hub: &Inner) -> Outcome<Vec<TokenView>> {
    Ok(hub.store.token_list().await?.into_iter().map(TokenView::from).collect())
}

/// Makes a token for the owner; its secret is returned this once.
pub(crate) async fn create(
    hub: &Inner,
    actor: Option<&Actor>,
    wish: TokenCreate,
    audit: AuditEntry,
) -> Outcome<(TokenView, SecretString)> {
    if wish.name.trim().is_empty()
        || wish.name.chars().count() > NAME_CHARS_MAX
        || wish.name.chars().any(char::is_control)
    {
        return Err(ApiError::field("name", format!("1 to {NAME_CHARS_MAX} printable characters")).into());
    }
    let scopes = if wish.scopes.is_empty() { vec!["all".to_owned()] } else { wish.scopes };
    let scopes = Scopes::parse(&scopes).map_err(|err| ApiError::field("scopes", err.to_string()))?.to_texts();
    if hub.store.token_list().await?.len() >= TOKENS_MAX {
        return Err(ApiError::new(
            ErrorCode::QuotaExceeded,
            format!("this hub takes {TOKENS_MAX} tokens; remove some"),
        )
        .into());
    }
    let user = match actor.and_then(Actor::user) {
        Some(user) => user,
        None => hub.store.owner_get().await?.map(|owner| owner.id).ok_or_else(|| {
            ApiError::new(ErrorCode::InvalidRequest, "this hub has no owner yet; run `reef setup` first")
        })?,
    };
    let fresh = token::Kind::Api.generate().map_err(|err| ApiError::new(ErrorCode::Internal, err.to_string()))?;
    let row = TokenRow {
        id: TokenId::new(),
        hash: fresh.hash,
        user,
        name: wish.name,
        scopes,
        created_at: jiff::Timestamp::now(),
        expires_at: None,
        last_used_at: None,
    };
    hub.store.token_create(row.clone(), audit).await?;
    Ok((row.into(), fresh.secret))
}

pub(crate) async fn delete(hub: &Inner, id: &str, audit: AuditEntry) -> Outcome<()> {
    let gone = match id.parse::<TokenId>() {
        Ok(id) => hub.store.token_delete(id, audit).await?,
        Err(_) => false,
    };
    if gone { Ok(()) } else { Err(ApiError::new(ErrorCode::NotFound, "there is no such token").into()) }
}
