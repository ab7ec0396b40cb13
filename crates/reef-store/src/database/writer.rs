//! The one thread that changes a file. Its queue is bounded: when the disk is slow, callers wait instead of piling up.

use std::{path::Path, thread};

use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::{mpsc, oneshot};

use crate::StoreError;

/// Changes waiting at most; each is small, and a longer queue would only hide a disk that does not keep up.
const WRITE_QUEUE_MAX: usize = 256;

type Change = Box<dyn FnOnce(&mut Connection) + Send>;

enum Command {
    Run(Change),
    Close(oneshot::Sender<()>),
}

#[derive(Debug)]
pub(super) struct Writer {
    // Options only so that `drop` can end the queue before it waits for the thread.
    queue: Option<mpsc::Sender<Command>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Writer {
    /// Hands the connection to its own thread.
    pub(super) fn start(conn: Connection, name: &str, path: &Path) -> Result<Self, StoreError> {
        let (queue, commands) = mpsc::channel(WRITE_QUEUE_MAX);
        let thread = thread::Builder::new()
            .name(format!("store-{name}"))
            .spawn(move || serve(conn, commands))
            .map_err(StoreError::io(path))?;
        Ok(Self { queue: Some(queue), thread: Some(thread) })
    }

    /// Queues a change and waits until it is committed or refused. `after` follows it before anybody hears of it, also
    /// when nobody waits any more.
    pub(super) async fn run<T, F, A>(&self, change: F, after: A) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Transaction<'_>) -> Result<T, StoreError> + Send + 'static,
        A: FnOnce() + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let change: Change = Box::new(move |conn| {
            let answer = in_transaction(conn, change);
            after();
            // Nobody may be waiting any more; the change counts all the same.
            let _ = reply.send(answer);
        });
        let queue = self.queue.as_ref().ok_or(StoreError::Closed)?;
        queue.send(Command::Run(change)).await.map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }

    /// Waits for the changes queued before, then for the connection to end.
    pub(super) async fn close(&self) {
        let (reply, closed) = oneshot::channel();
        if let Some(queue) = &self.queue
            && queue.send(Command::Close(reply)).await.is_ok()
        {
            // An error means that the thread ended for another reason: also closed.
            let _ = closed.await;
        }
    }
}

impl Drop for Writer {
    /// Waits for the queue, which is short, so that whoever opens the same folder next finds it free.
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the store's writer thread panicked");
        }
    }
}

fn in_transaction<T>(
    conn: &mut Connection,
    change: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let answer = change(&tx)?;
    tx.commit()?;
    Ok(answer)
}

fn serve(mut conn: Connection, mut commands: mpsc::Receiver<Command>) {
    let mut waiting = None;
    while let Some(command) = commands.blocking_recv() {
        match command {
            Command::Run(change) => change(&mut conn),
            Command::Close(reply) => {
                waiting = Some(reply);
                break;
            }
        }
    }
    drop(commands);
    // The last connection of a file folds the log into it.
    if let Err((_, err)) = conn.close() {
        tracing::warn!(error = &err as &dyn std::error::Error, "the database was not closed cleanly");
    }
    if let Some(reply) = waiting {
        let _ = reply.send(());
    }
}
