//! The built-in provider: answers without any key, so that a newcomer can chat and tests run without a network. The same
//! conversation always gives the same words.

mod anthropic;
mod openai;
mod script;

use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt, TryStreamExt};
use http::{
    HeaderValue, Response, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER},
};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use reef_driver::agent::Dialect;
use reef_types::{ApiError, ErrorCode, usage::UsageOutcome};
use serde_json::Value;

use self::script::{Fail, Said};
use crate::{
    call::Call,
    envelope::{BoxError, BrokerBody, envelope, error_response, json_response},
    meter::Tokens,
    request::ModelRequest,
};

/// Between two words, so that streaming can be seen.
const WORD_DELAY: Duration = Duration::from_millis(10);
/// Between two words of a long answer, so that there is time to leave in the middle.
const LONG_WORD_DELAY: Duration = Duration::from_millis(50);

/// What an answer is made of, in either dialect.
struct Answer {
    id: String,
    model: String,
    created: i64,
    input_tokens: u64,
    include_usage: bool,
}

/// One piece of a streamed answer.
struct Piece {
    text: String,
    /// Before it is sent.
    delay: Duration,
    /// What is counted as output once it was sent.
    tokens: u64,
}

impl Piece {
    fn now(text: String) -> Self {
        Self { text, delay: Duration::ZERO, tokens: 0 }
    }
}

/// Answers a call.
pub(crate) fn answer(dialect: Dialect, body: &[u8], request: &ModelRequest, mut call: Call) -> Response<BrokerBody> {
    let Ok(body) = serde_json::from_slice::<Value>(body) else {
        call.meter.finish(UsageOutcome::Refused);
        return error_response(dialect, &ApiError::new(ErrorCode::InvalidJson, "the request body is not JSON"));
    };
    let said = match dialect {
        Dialect::OpenAiChat => openai::said(&body),
        Dialect::AnthropicMessages => anthropic::said(&body),
    };
    let reply = match script::reply(&said, offers_exec(&body)) {
        Ok(reply) => reply,
        Err(Fail(status)) => {
            call.meter.finish(UsageOutcome::UpstreamFailed);
            return failure(dialect, status);
        }
    };
    let answer = Answer {
        id: uuid::Uuid::now_v7().simple().to_string(),
        model: request.model.clone(),
        created: jiff::Timestamp::now().as_second(),
        input_tokens: said.iter().map(Said::words).sum(),
        include_usage: request.include_usage,
    };
    if request.stream {
        let pieces = match dialect {
            Dialect::OpenAiChat => openai::stream(&answer, &reply),
            Dialect::AnthropicMessages => anthropic::stream(&answer, &reply),
        };
        return streamed(pieces, answer.input_tokens, call);
    }
    let whole = match dialect {
        Dialect::OpenAiChat => openai::whole(&answer, &reply),
        Dialect::AnthropicMessages => anthropic::whole(&answer, &reply),
    };
    call.meter.byte_seen();
    call.meter.set(Tokens { input: answer.input_tokens, output: reply.tokens() });
    call.meter.finish(UsageOutcome::Ok);
    json_response(StatusCode::OK, &whole)
}

fn offers_exec(body: &Value) -> bool {
    let tools = body["tools"].as_array().map_or(&[][..], Vec::as_slice);
    // OpenAI nests the name, Anthropic does not.
    tools.iter().any(|tool| tool["function"]["name"] == script::TOOL || tool["name"] == script::TOOL)
}

fn failure(dialect: Dialect, status: u16) -> Response<BrokerBody> {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let message = "the echo model fails because it was asked to";
    let mut response = json_response(status, &envelope(dialect, status, ErrorCode::UpstreamFailed.as_str(), message));
    if status == StatusCode::TOO_MANY_REQUESTS {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

fn streamed(pieces: Vec<Piece>, input_tokens: u64, call: Call) -> Response<BrokerBody> {
    let stream = play(pieces, input_tokens, call).map_ok(Frame::data);
    let mut response = Response::new(StreamBody::new(stream).boxed_unsync());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn play(pieces: Vec<Piece>, input: u64, call: Call) -> impl Stream<Item = Result<Bytes, BoxError>> + Send {
    let state = (pieces.into_iter(), call, Tokens { input, output: 0 });
    futures_util::stream::unfold(state, |(mut pieces, mut call, mut tokens)| async move {
        let Some(piece) = pieces.next() else {
            call.meter.finish(UsageOutcome::Ok);
            return None;
        };
        tokio::time::sleep(piece.delay).await;
        tokens.output += piece.tokens;
        call.meter.byte_seen();
        call.meter.set(tokens);
        Some((Bytes::from(piece.text), (pieces, call, tokens)))
    })
    .map(Ok)
}

#[cfg(test)]
mod tests;
