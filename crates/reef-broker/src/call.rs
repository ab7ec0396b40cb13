//! One request at a door: who calls, what for, and who answers.

use std::sync::Arc;

use bytes::Bytes;
use http::{
    HeaderMap, Method, Request, Response, StatusCode,
    header::{AUTHORIZATION, CONTENT_LENGTH},
};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use reef_driver::agent::Dialect;
use reef_types::{ApiError, ErrorCode, usage::UsageOutcome};
use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{
    Provider, ProviderKind, Tenant,
    broker::Shared,
    echo,
    envelope::{BrokerBody, error_response, json_response},
    meter::Meter,
    request::ModelRequest,
    upstream::Target,
};

/// When a tenant with too many calls may try again, in milliseconds.
const BUSY_RETRY_MS: u64 = 1_000;
/// Room for request bodies is taken in pieces of so many bytes.
const ROOM_BYTES: usize = 64 << 10;

/// The side of a door that its tenant is on.
#[derive(Clone)]
pub(crate) struct Caller {
    shared: Arc<Shared>,
    tenant: Arc<Tenant>,
    calls: Arc<Semaphore>,
    /// For the bodies of requests.
    room: Arc<Semaphore>,
}

impl Caller {
    pub(crate) fn new(shared: Arc<Shared>, tenant: Arc<Tenant>) -> Self {
        let calls = Arc::new(Semaphore::new(shared.limits.calls_max));
        let room = Arc::new(Semaphore::new(shared.limits.request_bytes_at_once_max.div_ceil(ROOM_BYTES)));
        Self { shared, tenant, calls, room }
    }
}

/// A call that was let through, with what it holds until its answer has ended.
pub(crate) struct Call {
    pub(crate) meter: Meter,
    pub(crate) _permit: OwnedSemaphorePermit,
}

/// Answers one request; every failure comes in the shape of the dialect that the path belongs to.
pub(crate) async fn handle(caller: Caller, req: Request<Incoming>) -> Response<BrokerBody> {
    let dialect = match req.uri().path() {
        path if path.starts_with("/v1/messages") => Dialect::AnthropicMessages,
        _ => Dialect::OpenAiChat,
    };
    match route(&caller, dialect, req).await {
        Ok(response) => response,
        Err(err) => {
            tracing::debug!(instance = %caller.tenant.instance, code = err.code.as_str(), "model call refused");
            error_response(dialect, &err)
        }
    }
}

async fn route(caller: &Caller, dialect: Dialect, req: Request<Incoming>) -> Result<Response<BrokerBody>, ApiError> {
    authenticate(&caller.tenant, req.headers())?;
    match (req.method(), req.uri().path()) {
        (&Method::POST, "/v1/chat/completions" | "/v1/messages") => model_call(caller, dialect, req).await,
        (&Method::GET, "/v1/models") => Ok(models(caller)),
        (&Method::POST, "/v1/responses" | "/v1/embeddings") => Err(ApiError::new(
            ErrorCode::NotImplemented,
            "this endpoint is not offered; use /v1/chat/completions or /v1/messages",
        )),
        (_, "/v1/chat/completions" | "/v1/messages" | "/v1/models" | "/v1/responses" | "/v1/embeddings") => {
            Err(ApiError::new(ErrorCode::MethodNotAllowed, "this endpoint does not take this method"))
        }
        _ => Err(ApiError::new(ErrorCode::NotFound, "there is no such endpoint")),
    }
}

/// The virtual key comes as a bearer token or, from Anthropic's libraries, as `x-api-key`; where both are sent, both
/// must be right.
fn authenticate(tenant: &Tenant, headers: &HeaderMap) -> Result<(), ApiError> {
    let bearer = headers.get_all(AUTHORIZATION).iter().map(|value| {
        let (scheme, key) = value.as_bytes().split_at_checked(7)?;
        scheme.eq_ignore_ascii_case(b"bearer ").then_some(key)
    });
    let mut keys = bearer.chain(headers.get_all("x-api-key").iter().map(|value| Some(value.as_bytes()))).peekable();
    let some = keys.peek().is_some();
    if some && keys.all(|key| key.is_some_and(|key| tenant.owns(key))) {
        return Ok(());
    }
    Err(ApiError::new(
        ErrorCode::Unauthenticated,
        "the key is missing or wrong; use the key that this instance was given",
    ))
}

fn models(caller: &Caller) -> Response<BrokerBody> {
    let table = caller.shared.providers.load();
    let data: Vec<_> = table
        .models()
        .map(|(provider, model)| {
            json!({
                "id": model.id, "object": "model", "created": 0, "owned_by": provider.name,
                // What Anthropic's list has in addition.
                "type": "model", "display_name": model.name,
            })
        })
        .collect();
    json_response(StatusCode::OK, &json!({ "object": "list", "data": data, "has_more": false }))
}

async fn model_call(
    caller: &Caller,
    dialect: Dialect,
    req: Request<Incoming>,
) -> Result<Response<BrokerBody>, ApiError> {
    let permit = caller.calls.clone().try_acquire_owned().map_err(|_| busy())?;
    let limits = &caller.shared.limits;
    let (parts, body) = req.into_parts();
    let (body, _room) = read(caller, &parts.headers, body).await?;
    let request = ModelRequest::parse(&body)?;

    let table = caller.shared.providers.load_full();
    let (provider, upstream_model) = table.find(&request.model).ok_or_else(|| {
        ApiError::new(ErrorCode::NotFound, "there is no such model; GET /v1/models lists what is offered")
    })?;
    if !provider.speaks(dialect) {
        return Err(ApiError::field("model", "this model is not offered at this endpoint; use the other dialect"));
    }
    let sink = caller.shared.sink.clone();
    let meter = Meter::start(sink, caller.tenant.instance, &provider.name, upstream_model);
    let mut call = Call { meter, _permit: permit };
    let Some(target) = target(provider) else {
        return Ok(echo::answer(dialect, &body, &request, call));
    };
    let sent =
        caller.shared.upstream.send(limits, &target, &parts.headers, request.rewrite(&body, upstream_model, dialect));
    match sent.await {
        Ok(response) => Ok(caller.shared.upstream.answer(limits, &target, response, call).await),
        Err(err) => {
            call.meter.finish(UsageOutcome::UpstreamFailed);
            Err(err)
        }
    }
}

fn target(provider: &Provider) -> Option<Target<'_>> {
    match &provider.kind {
        ProviderKind::Echo => None,
        ProviderKind::OpenAi { base_url, key } => {
            Some(Target { dialect: Dialect::OpenAiChat, base_url, key: key.as_ref() })
        }
        ProviderKind::Anthropic { base_url, key } => {
            Some(Target { dialect: Dialect::AnthropicMessages, base_url, key: key.as_ref() })
        }
    }
}

/// A body, and the room that it takes.
async fn read(
    caller: &Caller,
    headers: &HeaderMap,
    body: Incoming,
) -> Result<(Bytes, Option<OwnedSemaphorePermit>), ApiError> {
    let (bytes_max, idle) = (caller.shared.limits.request_bytes_max, caller.shared.limits.body_idle);
    let too_large = || ApiError::new(ErrorCode::BodyTooLarge, "the request body is too large");
    let declared = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if declared.is_some_and(|bytes| bytes > bytes_max) {
        return Err(too_large());
    }
    let mut body = Limited::new(body, bytes_max);
    let mut collected = Vec::new();
    let mut room: Option<OwnedSemaphorePermit> = None;
    loop {
        let frame = tokio::time::timeout(idle, body.frame())
            .await
            .map_err(|_| ApiError::new(ErrorCode::InvalidRequest, "the request body did not come in time"))?;
        match frame {
            None => return Ok((Bytes::from(collected), room)),
            Some(Ok(frame)) => {
                let data = frame.data_ref().map_or(&[][..], |data| &data[..]);
                let held = room.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
                let missing = (collected.len() + data.len()).div_ceil(ROOM_BYTES).saturating_sub(held);
                let more = u32::try_from(missing).map_err(|_| too_large())?;
                // Waiting would let two half-read bodies wait for each other.
                let more = caller.room.clone().try_acquire_many_owned(more).map_err(|_| busy())?;
                match &mut room {
                    Some(room) => room.merge(more),
                    None => room = Some(more),
                }
                collected.extend_from_slice(data);
            }
            Some(Err(err)) if err.is::<LengthLimitError>() => return Err(too_large()),
            Some(Err(_)) => return Err(ApiError::new(ErrorCode::InvalidRequest, "the request body broke off")),
        }
    }
}

fn busy() -> ApiError {
    ApiError::new(ErrorCode::RateLimited, "too many model calls at once; try again shortly").retry_after(BUSY_RETRY_MS)
}
