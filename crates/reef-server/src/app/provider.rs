//! Language-model providers: what the broker offers.

use std::sync::Arc;

use reef_broker::{BaseUrl, Provider, ProviderKind, ProviderTable};
use reef_driver::agent::{Dialect, ModelInfo};
use reef_store::{AuditEntry, PROVIDER_SCOPE, ProviderRow, Store, StoreError};
use reef_types::{ApiError, ErrorCode};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{http::error::Outcome, hub::Inner};

const PROVIDERS_MAX: usize = 64;
const MODELS_MAX: usize = 200;
/// Until models carry their own figures, these are assumed: they only guide the agent's own trimming.
const CONTEXT_TOKENS: u64 = 128_000;
const OUTPUT_TOKENS_MAX: u64 = 8_192;

/// Which wire protocol an upstream speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ProviderKindName {
    /// Built in: repeats what it is told.
    Echo,
    OpenAi,
    Anthropic,
}

/// A new provider.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ProviderCreate {
    /// 1 to 40 of a-z, 0-9 and '-'.
    pub(crate) name: String,
    pub(crate) kind: ProviderKindName,
    /// For `openai` the part before `/chat/completions`, for `anthropic` the part before `/v1/messages`.
    pub(crate) base_url: String,
    /// Write-only.
    #[schema(value_type = String, format = Password)]
    pub(crate) api_key: SecretString,
    /// The upstream's names of its models; the first one is the provider's default.
    pub(crate) models: Vec<String>,
}

/// One provider; never its key.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ProviderView {
    pub(crate) name: String,
    pub(crate) kind: ProviderKindName,
    pub(crate) base_url: Option<String>,
    pub(crate) built_in: bool,
    pub(crate) models: Vec<ModelView>,
}

/// One model that an instance can be given.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ModelView {
    /// `provider/model`
    pub(crate) id: String,
    pub(crate) name: String,
}

/// Models of all providers; the first one is the hub's default.
pub(crate) fn models(hub: &Inner) -> Vec<ModelInfo> {
    hub.providers.load().providers.iter().flat_map(|provider| provider.models.iter().cloned()).collect()
}

/// Reads providers and their keys; the built-in echo comes last, so that a configured one is the default.
pub(crate) async fn table(store: &Store) -> Result<ProviderTable, StoreError> {
    let mut providers = Vec::new();
    for row in store.provider_list().await? {
        let key = store.secret_get(PROVIDER_SCOPE, &row.name).await?;
        // Checked when it was stored; a row that does not pass any more is not offered.
        let Ok(base_url) = BaseUrl::parse(&row.base_url) else { continue };
        let (kind, dialect) = if row.kind == "anthropic" {
            (ProviderKind::Anthropic { base_url, key }, Dialect::AnthropicMessages)
        } else {
            (ProviderKind::OpenAi { base_url, key }, Dialect::OpenAiChat)
        };
        let models = row.models.iter().map(|model| info(&row.name, model, dialect)).collect();
        providers.push(Provider { name: row.name, kind, models });
    }
    providers.push(Provider::echo());
    Ok(ProviderTable { providers })
}

fn info(provider: &str, model: &str, dialect: Dialect) -> ModelInfo {
    ModelInfo {
        id: format!("{provider}/{model}"),
        name: model.to_owned(),
        dialect,
        context_tokens: CONTEXT_TOKENS,
        output_tokens_max: OUTPUT_TOKENS_MAX,
    }
}

pub(crate) fn list(hub: &Inner) -> Vec<ProviderView> {
    let table = hub.providers.load();
    table
        .providers
        .iter()
        .map(|provider| {
            let (kind, base_url) = match &provider.kind {
                ProviderKind::Echo => (ProviderKindName::Echo, None),
                ProviderKind::OpenAi { base_url, .. } => (ProviderKindName::OpenAi, Some(base_url.to_string())),
                ProviderKind::Anthropic { base_url, .. } => (ProviderKindName::Anthropic, Some(base_url.to_string())),
            };
            ProviderView {
                name: provider.name.clone(),
                built_in: kind == ProviderKindName::Echo,
                kind,
                base_url,
                models: provider.models.iter().map(|m| ModelView { id: m.id.clone(), name: m.name.clone() }).collect(),
            }
        })
        .collect()
}

pub(crate) async fn create(hub: &Inner, wish: ProviderCreate, audit: AuditEntry) -> Outcome<ProviderView> {
    let name: reef_types::InstanceName =
        wish.name.parse().map_err(|err: reef_types::name::NameError| ApiError::field("name", err.to_string()))?;
    let kind = match wish.kind {
        ProviderKindName::Echo => {
            return Err(ApiError::field("kind", "`echo` is built in; kinds are openai and anthropic").into());
        }
        ProviderKindName::OpenAi => "openai",
        ProviderKindName::Anthropic => "anthropic",
    };
    let taken = hub.providers.load().providers.iter().any(|p| p.name == name.as_str());
    if taken {
        return Err(ApiError::field("name", "a provider of this name exists; remove it first").into());
    }
    let base_url =
        BaseUrl::parse(&wish.base_url).map_err(|err| ApiError::field("baseUrl", err.to_string()))?.to_string();
    let fine = |model: &String| {
        !model.is_empty() && model.len() <= 200 && !model.chars().any(|c| c.is_control() || c.is_whitespace())
    };
    if wish.models.is_empty() || wish.models.len() > MODELS_MAX || !wish.models.iter().all(fine) {
        return Err(ApiError::field("models", format!("name 1 to {MODELS_MAX} models, without spaces")).into());
    }
    if hub.providers.load().providers.len() > PROVIDERS_MAX {
        return Err(ApiError::new(ErrorCode::QuotaExceeded, format!("this hub takes {PROVIDERS_MAX} providers")).into());
    }
    let row = ProviderRow {
        name: name.to_string(),
        kind: kind.to_owned(),
        base_url,
        models: wish.models,
        created_at: jiff::Timestamp::now(),
    };
    hub.store.provider_put(row, wish.api_key, audit).await?;
    reload(hub).await?;
    list(hub)
        .into_iter()
        .find(|view| view.name == name.as_str())
        .ok_or_else(|| ApiError::new(ErrorCode::Internal, "the provider was not kept").into())
}

pub(crate) async fn delete(hub: &Inner, name: &str, audit: AuditEntry) -> Outcome<()> {
    let built_in =
        hub.providers.load().providers.iter().any(|p| p.name == name && matches!(p.kind, ProviderKind::Echo));
    if built_in {
        return Err(ApiError::field("name", "`echo` is built in and stays").into());
    }
    if !hub.store.provider_delete(name, audit).await? {
        return Err(ApiError::new(ErrorCode::NotFound, "there is no such provider").into());
    }
    Ok(reload(hub).await?)
}

async fn reload(hub: &Inner) -> Result<(), StoreError> {
    hub.providers.store(Arc::new(table(&hub.store).await?));
    Ok(())
}
