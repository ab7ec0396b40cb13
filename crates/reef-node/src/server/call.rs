//! One connection: greeting, request, answer. Ends early when the peer closes it.

use std::os::fd::AsFd;

use futures_util::StreamExt;
use reef_driver::{DriverError, Reason};
use tokio::{io::AsyncReadExt, net::UnixStream, time::timeout};

use super::{
    Shared,
    verbs::{self, Reply},
};
use crate::{
    peer::Stranger,
    wire::{self, Answer, Hello, NodeHello, Request, fd, frame, frame::FrameError},
};

/// Why a call ended without an answer that could be sent.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("the hub did not say what it wants in time")]
    Slow,
    #[error("the hub does not read the answer")]
    Stuck,
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error("the socket could not be handed over: {0}")]
    HandOver(std::io::Error),
    #[error("the hub closed the connection")]
    HungUp,
}

pub(super) async fn serve(shared: &Shared, mut stream: UnixStream, stranger: Option<Stranger>) {
    match run(shared, &mut stream, stranger).await {
        Ok(()) | Err(Ended::HungUp) => {}
        Err(ended) => tracing::warn!(%ended, "a call was cut short"),
    }
}

async fn run(shared: &Shared, stream: &mut UnixStream, stranger: Option<Stranger>) -> Result<(), Ended> {
    let Some(request) = greet(shared, stream, stranger).await? else { return Ok(()) };
    let request = match request {
        Ok(request) => request,
        Err(error) => return answer(stream, &Answer::Failed { error }).await,
    };
    let verb = request.verb();
    let reply = tokio::select! {
        reply = verbs::perform(shared, request) => reply,
        () = closed(stream) => {
            tracing::debug!(verb, "the hub gave up a call");
            return Err(Ended::HungUp);
        }
    };
    match reply {
        Ok(Reply::Answer(value)) => answer(stream, &value).await,
        Ok(Reply::Socket(socket)) => {
            answer(stream, &Answer::Socket {}).await?;
            let sent = timeout(wire::ANSWER_TIME_MAX, fd::send(stream, socket.as_fd()));
            sent.await.map_err(|_| Ended::Stuck)?.map_err(Ended::HandOver)
        }
        Ok(Reply::Stream(items)) => pass_on(shared, stream, items).await,
        Err(error) => {
            tracing::debug!(verb, reason = error.reason.as_str(), "a verb failed");
            answer(stream, &Answer::Failed { error }).await
        }
    }
}

/// Exchanges greetings and reads the request. None when the peer is turned away, or only wanted the greeting.
async fn greet(
    shared: &Shared,
    stream: &mut UnixStream,
    stranger: Option<Stranger>,
) -> Result<Option<Result<Request, DriverError>>, Ended> {
    let mut ours = NodeHello {
        protocol: wire::PROTOCOL,
        build: Hello::ours().build,
        pid: std::process::id(),
        drivers: shared.drivers.keys().map(|&kind| kind.to_owned()).collect(),
        refusal: None,
    };
    if let Some(stranger) = stranger {
        tracing::warn!(%stranger, "turned away a connection");
        let message =
            format!("{stranger} may not use this node: run the hub as the node's user, or name it to the node");
        ours.refusal = Some(DriverError::new(Reason::Permission, message));
        ours.drivers.clear();
        answer(stream, &ours).await?;
        return Ok(None);
    }
    let exchange = async {
        let Some(theirs) = frame::read::<Hello>(stream).await? else { return Ok(None) };
        if theirs.protocol != wire::PROTOCOL {
            let message = format!(
                "hub {} and node {} do not understand each other (protocol {} and {}): restart both from one build",
                theirs.build, ours.build, theirs.protocol, ours.protocol
            );
            ours.refusal = Some(DriverError::new(Reason::Unavailable, message));
        }
        frame::write(stream, &ours).await?;
        if ours.refusal.is_some() {
            return Ok(None);
        }
        match frame::read::<Request>(stream).await {
            Ok(request) => Ok(request.map(Ok)),
            Err(err @ (FrameError::Malformed { .. } | FrameError::TooLarge { .. })) => {
                Ok(Some(Err(DriverError::new(Reason::Invalid, err.to_string()))))
            }
            Err(err) => Err(err.into()),
        }
    };
    timeout(wire::GREETING_TIME_MAX, exchange).await.map_err(|_| Ended::Slow)?
}

async fn answer(stream: &mut UnixStream, value: &impl serde::Serialize) -> Result<(), Ended> {
    timeout(wire::ANSWER_TIME_MAX, frame::write(stream, value)).await.map_err(|_| Ended::Stuck)?.map_err(Ended::Frame)
}

/// Sends a stream as fast as the peer reads it. Dropping it, when the peer is gone, is what cancels its source.
async fn pass_on(shared: &Shared, stream: &mut UnixStream, mut items: verbs::Items) -> Result<(), Ended> {
    let Ok(_slot) = shared.streams.try_acquire() else {
        let message =
            format!("the node serves {} streams already: close some (followed logs, for example)", wire::STREAMS_MAX);
        return answer(stream, &Answer::Failed { error: DriverError::new(Reason::Exhausted, message) }).await;
    };
    answer(stream, &Answer::Done {}).await?;
    let (mut read, mut write) = stream.split();
    let send_all = async {
        while let Some(item) = items.next().await {
            frame::write(&mut write, &item).await?;
        }
        frame::write(&mut write, &Answer::End {}).await
    };
    tokio::select! {
        sent = send_all => Ok(sent?),
        () = closed(&mut read) => Err(Ended::HungUp),
        // Without `End` the peer knows that more would have come.
        () = shared.shutdown.cancelled() => Ok(()),
    }
}

/// Waits until the peer closes. It has nothing more to say, so that anything it sends is a breach and ends the call too.
async fn closed(stream: &mut (impl tokio::io::AsyncRead + Unpin)) {
    // Whatever comes of it (end, byte or error), this conversation is over.
    let _ = stream.read_u8().await;
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use reef_driver::{Task, TaskExit, TaskRunner};
    use tokio::sync::Semaphore;

    use super::*;
    use crate::store::Store;

    struct NoTasks;

    #[async_trait::async_trait]
    impl TaskRunner for NoTasks {
        async fn run(
            &self,
            _: Task,
            _: &mut (dyn for<'line> FnMut(&'line str) + Send),
        ) -> Result<TaskExit, DriverError> {
            unreachable!("no task is run")
        }
    }

    #[tokio::test]
    async fn a_stranger_is_told_why_and_learns_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let shared = Shared {
            drivers: std::collections::BTreeMap::new(),
            store: Store::open(dir.path(), Vec::new(), Arc::new(NoTasks)).unwrap(),
            streams: Arc::new(Semaphore::new(1)),
            relays: Arc::new(Semaphore::new(1)),
            shutdown: tokio_util::sync::CancellationToken::new(),
        };
        let (node, mut hub) = UnixStream::pair().unwrap();
        frame::write(&mut hub, &Hello::ours()).await.unwrap();
        frame::write(&mut hub, &Request::Versions {}).await.unwrap();
        serve(&shared, node, Some(Stranger { uid: Some(4711) })).await;
        let hello = frame::read::<NodeHello>(&mut hub).await.unwrap().unwrap();
        let refusal = hello.refusal.unwrap();
        assert_eq!(refusal.reason, Reason::Permission);
        assert!(refusal.message.contains("user 4711"), "{refusal}");
        assert!(!matches!(frame::read::<Answer>(&mut hub).await, Ok(Some(_))), "the request was answered");
    }
}
