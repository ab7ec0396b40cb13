//! What model calls used, in a file of its own: it grows with every call, and losing it loses nothing else.

use std::collections::HashMap;

use jiff::Timestamp;
use reef_types::{InstanceId, instance::UsageView, usage::UsageRecord};
use rusqlite::{Connection, named_params, params};

use crate::{
    Store, StoreError,
    row::{execute, parsed, query_all, time_ns, unsigned, word_text},
};

/// The most that one call may count, in tokens or millionths of a dollar: a provider that reports nonsense must not make
/// the sums overflow.
const CALL_VALUE_MAX: u64 = 1 << 40;

impl Store {
    /// Records calls and adds them to the sums.
    pub async fn usage_append(&self, records: Vec<UsageRecord>) -> Result<(), StoreError> {
        if records.is_empty() {
            return Ok(());
        }
        self.usage()
            .write(move |tx| {
                for record in &records {
                    insert(tx, record)?;
                    add(tx, record)?;
                }
                Ok(())
            })
            .await
    }

    /// The sums of all calls ever recorded, also of instances that are gone and of calls that were dropped.
    pub async fn usage_totals(&self) -> Result<HashMap<InstanceId, UsageView>, StoreError> {
        let read = self.usage().read(|tx| {
            query_all(tx, "SELECT * FROM totals", (), |row| {
                let view = UsageView {
                    cost_micros: unsigned(row, "cost_micros")?,
                    input_tokens: unsigned(row, "input_tokens")?,
                    output_tokens: unsigned(row, "output_tokens")?,
                };
                Ok((parsed(row, "instance_id")?, view))
            })
        });
        Ok(read.await?.into_iter().collect())
    }

    /// Drops the records of calls before a time, not their share of the sums; how many.
    pub async fn usage_prune(&self, before: Timestamp) -> Result<u32, StoreError> {
        const SQL: &str = "DELETE FROM calls WHERE started_at_ns < ?1";
        let gone = self.usage().write(move |tx| execute(tx, SQL, [time_ns(before)])).await?;
        Ok(u32::try_from(gone).unwrap_or(u32::MAX))
    }
}

fn insert(conn: &Connection, record: &UsageRecord) -> Result<(), StoreError> {
    execute(
        conn,
        "INSERT INTO calls (instance_id, provider, model, input_tokens, output_tokens, cost_micros, started_at_ns,
             first_byte_ms, duration_ms, outcome)
         VALUES (:instance_id, :provider, :model, :input_tokens, :output_tokens, :cost_micros, :started_at_ns,
             :first_byte_ms, :duration_ms, :outcome)",
        named_params! {
            ":instance_id": record.instance.to_string(),
            ":provider": record.provider,
            ":model": record.model,
            ":input_tokens": bounded(record.input_tokens),
            ":output_tokens": bounded(record.output_tokens),
            ":cost_micros": bounded(record.cost_micros),
            ":started_at_ns": time_ns(record.started_at),
            ":first_byte_ms": record.first_byte_ms.map(bounded),
            ":duration_ms": bounded(record.duration_ms),
            ":outcome": word_text(&record.outcome)?,
        },
    )?;
    Ok(())
}

fn add(conn: &Connection, record: &UsageRecord) -> Result<(), StoreError> {
    execute(
        conn,
        "INSERT INTO totals (instance_id, input_tokens, output_tokens, cost_micros) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (instance_id) DO UPDATE SET
             input_tokens = input_tokens + excluded.input_tokens,
             output_tokens = output_tokens + excluded.output_tokens,
             cost_micros = cost_micros + excluded.cost_micros",
        params![
            record.instance.to_string(),
            bounded(record.input_tokens),
            bounded(record.output_tokens),
            bounded(record.cost_micros),
        ],
    )?;
    Ok(())
}

fn bounded(value: u64) -> i64 {
    crate::row::count(value.min(CALL_VALUE_MAX))
}

#[cfg(test)]
mod tests;
