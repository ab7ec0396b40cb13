//! Conversations: sessions, stream, send, abort.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use futures_util::stream;
use http::{HeaderMap, StatusCode};
use reef_auth::Action;
use reef_types::{ApiError, ErrorCode, chat::ChatSession};
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast::{Receiver, error::RecvError};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::List;
use crate::{
    app::{chat, instance},
    chat::{Snapshot, Update},
    http::{
        context::Context,
        error::{Outcome, agent_error},
        extract::{Body, Path, Query},
        sse::{self, Frame},
    },
    hub::Hub,
};

pub(super) fn routes() -> OpenApiRouter<Hub> {
    OpenApiRouter::new()
        .routes(routes!(session_list))
        .routes(routes!(chat_stream))
        .routes(routes!(chat_send))
        .routes(routes!(chat_abort))
}

/// A message to an agent.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ChatSend {
    text: String,
}

/// The turn that works on the message.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ChatSent {
    run_id: String,
}

/// Where the client left off.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Cursor {
    /// Of the last snapshot or patch; when nothing happened since, the snapshot is not sent again.
    cursor: Option<String>,
}

/// Conversations, the one with the latest message first.
#[utoipa::path(get, path = "/api/instances/{id}/sessions", operation_id = "session_list", tag = "Chat", params(("id" = String, Path)), responses(
    (status = 200, body = List<ChatSession>), (status = "4XX", body = reef_types::error::ErrorBody), (status = 503, body = reef_types::error::ErrorBody)
))]
async fn session_list(
    State(hub): State<Hub>,
    ctx: Context,
    Path(id): Path<String>,
) -> Outcome<Json<List<ChatSession>>> {
    ctx.allow(Action::InstanceChatRead)?;
    let (_, link) = chat::link(&hub.0, &id).await?;
    Ok(Json(List::whole(link.sessions().await?)))
}

/// Sends a message. With `Idempotency-Key`, the same message never runs twice.
#[utoipa::path(post, path = "/api/instances/{id}/chat/{session}/messages", operation_id = "chat_send", tag = "Chat",
    params(("id" = String, Path), ("session" = String, Path), ("Idempotency-Key" = Option<String>, Header)), request_body = ChatSend, responses(
    (status = 202, body = ChatSent), (status = "4XX", body = reef_types::error::ErrorBody), (status = 503, body = reef_types::error::ErrorBody)
))]
async fn chat_send(
    State(hub): State<Hub>,
    ctx: Context,
    Path((id, session)): Path<(String, String)>,
    headers: HeaderMap,
    Body(message): Body<ChatSend>,
) -> Outcome<impl IntoResponse> {
    ctx.allow(Action::InstanceChat)?;
    let talk = chat::open(&hub.0, &id, &session).await?;
    let key = match headers.get("idempotency-key").map(|value| value.to_str()) {
        None => None,
        Some(Ok(key)) => Some(key),
        Some(Err(_)) => return Err(ApiError::field("Idempotency-Key", "printable ASCII only").into()),
    };
    let run_id = chat::send(&hub.0, &talk, &message.text, key).await?;
    Ok((StatusCode::ACCEPTED, Json(ChatSent { run_id })))
}

/// Stops the turn that is going on.
#[utoipa::path(post, path = "/api/instances/{id}/chat/{session}/abort", operation_id = "chat_abort", tag = "Chat",
    params(("id" = String, Path), ("session" = String, Path)), responses(
    (status = 204), (status = "4XX", body = reef_types::error::ErrorBody), (status = 503, body = reef_types::error::ErrorBody)
))]
async fn chat_abort(
    State(hub): State<Hub>,
    ctx: Context,
    Path((id, session)): Path<(String, String)>,
) -> Outcome<StatusCode> {
    ctx.allow(Action::InstanceChat)?;
    let talk = chat::open(&hub.0, &id, &session).await?;
    talk.link.abort(&talk.key).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A conversation, live: `snapshot` replaces everything, `patch` adds or replaces one item or the turn's state,
/// `unavailable` says that the agent is away (a snapshot follows when it is back), `ping` every 15 s.
#[utoipa::path(get, path = "/api/instances/{id}/chat/{session}/stream", operation_id = "chat_stream", tag = "Chat",
    params(("id" = String, Path), ("session" = String, Path), Cursor), responses(
    (status = 200, content_type = "text/event-stream", body = String), (status = "4XX", body = reef_types::error::ErrorBody)
))]
async fn chat_stream(
    State(hub): State<Hub>,
    ctx: Context,
    Path((id, session)): Path<(String, String)>,
    Query(cursor): Query<Cursor>,
) -> Outcome<Response> {
    ctx.allow(Action::InstanceChatRead)?;
    // A stream may wait for an agent that is still starting; an instance that does not exist is refused at once.
    instance::find(&hub.0, &id).await?;
    chat::check_session(&session)?;
    let start = Listening {
        hub: hub.clone(),
        id,
        session,
        cursor: cursor.cursor,
        updates: None,
        said_unavailable: false,
        seq: 0,
    };
    let frames = stream::unfold(start, |mut listening| async move {
        let frame = listening.next().await?;
        Some((frame, listening))
    });
    Ok(sse::response(frames, &hub, &ctx))
}

/// One listener of one conversation.
struct Listening {
    hub: Hub,
    id: String,
    session: String,
    cursor: Option<String>,
    /// None until a snapshot was sent that later updates go on from.
    updates: Option<Receiver<Update>>,
    said_unavailable: bool,
    /// Of the last snapshot.
    seq: u64,
}

/// How often a listener looks for an agent that is away.
const RETRY: std::time::Duration = std::time::Duration::from_millis(500);

impl Listening {
    async fn next(&mut self) -> Option<Frame> {
        loop {
            let Some(updates) = &mut self.updates else {
                match self.snapshot().await {
                    Ok(Some(frame)) => return Some(frame),
                    Ok(None) => continue,
                    Err(err) if err.code == ErrorCode::InstanceNotFound => return None,
                    Err(err) => {
                        if !std::mem::replace(&mut self.said_unavailable, true) {
                            let data = serde_json::json!({ "code": err.code, "message": err.message });
                            return Some(Frame::json("unavailable", &data));
                        }
                        tokio::time::sleep(RETRY).await;
                        continue;
                    }
                }
            };
            match updates.recv().await {
                // Older than the snapshot: it is in there already.
                Ok(Update::Patch(patch)) if patch.seq <= self.seq => {}
                Ok(Update::Patch(patch)) => return Some(Frame::json("patch", &*patch)),
                Ok(Update::Reset) | Err(RecvError::Lagged(_) | RecvError::Closed) => self.updates = None,
            }
        }
    }

    /// Subscribes first, reads then: what happens in between is seen twice rather than not at all.
    async fn snapshot(&mut self) -> Result<Option<Frame>, ApiError> {
        let talk = chat::open(&self.hub.0, &self.id, &self.session).await.map_err(|failure| failure.0)?;
        let updates = talk.chats.subscribe(&talk.key);
        let snapshot: Snapshot = talk.chats.snapshot(&*talk.link, &talk.key).await.map_err(|err| agent_error(&err))?;
        self.updates = Some(updates);
        self.said_unavailable = false;
        self.seq = snapshot.seq;
        if self.cursor.take().is_some_and(|cursor| cursor == snapshot.cursor) {
            return Ok(None);
        }
        Ok(Some(Frame::json("snapshot", &snapshot)))
    }
}
