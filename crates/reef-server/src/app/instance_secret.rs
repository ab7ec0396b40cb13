//! The secrets of one instance: the credential of its gateway and its virtual key for the broker.

use reef_auth::token;
use reef_driver::AgentCredential;
use reef_store::StoreError;
use reef_types::{ApiError, ErrorCode, InstanceId};
use secrecy::SecretString;

use crate::hub::Inner;

/// Names in the vault.
pub(crate) const CREDENTIAL: &str = "credential";
pub(crate) const BROKER_KEY: &str = "broker_key";

/// What a running instance needs.
pub(crate) struct InstanceSecrets {
    pub(crate) credential: AgentCredential,
    pub(crate) broker_key: SecretString,
}

/// A fresh virtual key.
pub(crate) fn new_broker_key() -> Result<SecretString, ApiError> {
    let key = token::Kind::Broker.generate().map_err(|err| ApiError::new(ErrorCode::Internal, err.to_string()))?;
    Ok(key.secret)
}

/// Reads both; none when the instance is gone.
pub(crate) async fn load(hub: &Inner, id: InstanceId) -> Result<Option<InstanceSecrets>, StoreError> {
    let scope = id.to_string();
    let credential = hub.store.secret_get(&scope, CREDENTIAL).await?;
    let broker_key = hub.store.secret_get(&scope, BROKER_KEY).await?;
    Ok(credential
        .zip(broker_key)
        .map(|(credential, broker_key)| InstanceSecrets { credential: AgentCredential(credential), broker_key }))
}
