//! Signed-in browsers, found by the SHA-256 of their cookie.

use jiff::{SignedDuration, Timestamp};
use reef_types::{SessionId, UserId};
use rusqlite::{Row, params};

use crate::{
    Store, StoreError,
    row::{execute, get, parsed, query_first, time, time_ns},
};

/// How old `seen_at` may get before a request renews it, in seconds: reads must not turn into a write each.
const TOUCH_EVERY_SECS: i64 = 60;

/// One signed-in browser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRow {
    pub id: SessionId,
    /// SHA-256 of the cookie's value.
    pub hash: [u8; 32],
    pub user: UserId,
    pub created_at: Timestamp,
    /// The last request, to the minute.
    pub seen_at: Timestamp,
    /// When it ends without a further request; its distance from `seen_at` is kept when that moves on.
    pub idle_expires_at: Timestamp,
    /// When it ends whatever happens.
    pub expires_at: Timestamp,
}

impl SessionRow {
    fn is_live(&self, now: Timestamp) -> bool {
        now < self.idle_expires_at && now < self.expires_at
    }

    /// Moves the idle limit on; whether it is time for that.
    fn touch(&mut self, now: Timestamp) -> bool {
        let since: SignedDuration = now.duration_since(self.seen_at);
        if since < SignedDuration::from_secs(TOUCH_EVERY_SECS) {
            return false;
        }
        let idle = self.idle_expires_at.duration_since(self.seen_at);
        self.idle_expires_at = now.saturating_add(idle).unwrap_or(self.expires_at);
        self.seen_at = now;
        true
    }
}

impl Store {
    /// Records a sign-in.
    pub async fn session_create(&self, row: SessionRow) -> Result<(), StoreError> {
        self.write(move |tx| {
            execute(
                tx,
                "INSERT INTO sessions (hash, id, user_id, created_at_ns, seen_at_ns, idle_expires_at_ns, expires_at_ns)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                params![
                    row.hash,
                    row.id.to_string(),
                    row.user.to_string(),
                    time_ns(row.created_at),
                    time_ns(row.seen_at),
                    time_ns(row.idle_expires_at),
                    time_ns(row.expires_at),
                ],
            )?;
            Ok(())
        })
        .await
    }

    /// The session of a cookie if it has not ended; moves its idle limit on, at most once a minute.
    pub async fn session_get(&self, hash: [u8; 32]) -> Result<Option<SessionRow>, StoreError> {
        self.session_get_at(hash, Timestamp::now()).await
    }

    async fn session_get_at(&self, hash: [u8; 32], now: Timestamp) -> Result<Option<SessionRow>, StoreError> {
        const SQL: &str = "SELECT * FROM sessions WHERE hash = ?1";
        let found = self.read(move |tx| query_first(tx, SQL, [hash], read)).await?;
        let Some(mut row) = found.filter(|row| row.is_live(now)) else { return Ok(None) };
        if row.touch(now) {
            let (seen_at, idle_expires_at) = (row.seen_at, row.idle_expires_at);
            let touched = self.write(move |tx| {
                // Not backwards, when two requests of one browser cross.
                execute(
                    tx,
                    "UPDATE sessions SET seen_at_ns = ?2, idle_expires_at_ns = ?3 WHERE hash = ?1 AND seen_at_ns < ?2",
                    params![hash, time_ns(seen_at), time_ns(idle_expires_at)],
                )
            });
            // A full disk must not sign people out: they are needed to make room.
            if let Err(err) = touched.await {
                tracing::warn!(error = &err as &dyn std::error::Error, session = %row.id, "session not renewed");
            }
        }
        Ok(Some(row))
    }

    /// Ends a session.
    pub async fn session_delete(&self, hash: [u8; 32]) -> Result<(), StoreError> {
        self.revoke(move |tx| execute(tx, "DELETE FROM sessions WHERE hash = ?1", [hash]).map(drop)).await
    }

    /// Drops the sessions that have ended; how many.
    pub async fn session_delete_expired(&self, now: Timestamp) -> Result<u32, StoreError> {
        const SQL: &str = "DELETE FROM sessions WHERE idle_expires_at_ns <= ?1 OR expires_at_ns <= ?1";
        let gone = self.write(move |tx| execute(tx, SQL, [time_ns(now)])).await?;
        Ok(u32::try_from(gone).unwrap_or(u32::MAX))
    }
}

fn read(row: &Row<'_>) -> Result<SessionRow, StoreError> {
    Ok(SessionRow {
        id: parsed(row, "id")?,
        hash: get(row, "hash")?,
        user: parsed(row, "user_id")?,
        created_at: time(row, "created_at_ns")?,
        seen_at: time(row, "seen_at_ns")?,
        idle_expires_at: time(row, "idle_expires_at_ns")?,
        expires_at: time(row, "expires_at_ns")?,
    })
}

#[cfg(test)]
mod tests;
