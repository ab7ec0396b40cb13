//! OpenClaw as one kind of agent: the way in for the rest of the hub.

use std::sync::Arc;

use async_trait::async_trait;
use reef_driver::{AgentCredential, AgentError, AgentKind, AgentLink, Dial, Handshake, RenderInput, Workload};
use reef_types::InstanceSpec;
use secrecy::SecretString;

use crate::{
    credential::Credential,
    handshake::PersonHandshake,
    link::GatewayLink,
    render::{self, GATEWAY_PORT},
    version,
};

/// The agent kind `openclaw`. Has no state.
#[derive(Debug, Clone, Copy, Default)]
pub struct OpenClaw;

#[async_trait]
impl AgentKind for OpenClaw {
    fn kind(&self) -> &'static str {
        "openclaw"
    }

    fn default_version(&self) -> &'static str {
        version::DEFAULT_VERSION
    }

    fn tested_versions(&self) -> &'static [&'static str] {
        version::TESTED_VERSIONS
    }

    fn check_version(&self, version: &str) -> Result<(), AgentError> {
        version::check(version).map_err(|err| AgentError::Invalid(err.to_string()))
    }

    fn new_credential(&self) -> AgentCredential {
        Credential::generate().to_stored()
    }

    fn gateway_token(&self, credential: &AgentCredential) -> Option<SecretString> {
        Credential::parse(credential).ok().map(|credential| credential.token().clone())
    }

    fn gateway_port(&self) -> u16 {
        GATEWAY_PORT
    }

    fn render(&self, input: &RenderInput<'_>) -> Result<Workload, AgentError> {
        let credential = Credential::parse(input.credential).map_err(|err| AgentError::Invalid(err.to_string()))?;
        render::render(input, credential.token())
    }

    fn link(&self, spec: &InstanceSpec, credential: &AgentCredential, dial: Arc<dyn Dial>) -> Arc<dyn AgentLink> {
        Arc::new(GatewayLink::start(spec.id, credential, dial))
    }

    fn handshake(&self, credential: &AgentCredential) -> Box<dyn Handshake> {
        Box::new(PersonHandshake::new(credential))
    }
}
