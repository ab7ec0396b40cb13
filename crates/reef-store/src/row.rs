//! Reading rows: typed columns, and `Corrupt` with the column's name when a value is not what the store wrote.

use std::str::FromStr;

use jiff::Timestamp;
use rusqlite::{Connection, Params, Row, types::FromSql};
use serde::{Serialize, de::DeserializeOwned};

use crate::StoreError;

/// All rows of a query.
pub(crate) fn query_all<T>(
    conn: &Connection,
    sql: &str,
    params: impl Params,
    read: impl FnMut(&Row<'_>) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    conn.prepare_cached(sql)?.query_and_then(params, read)?.collect()
}

/// The first row of a query, if any.
pub(crate) fn query_first<T>(
    conn: &Connection,
    sql: &str,
    params: impl Params,
    read: impl FnOnce(&Row<'_>) -> Result<T, StoreError>,
) -> Result<Option<T>, StoreError> {
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    rows.next()?.map(read).transpose()
}

/// Whether a query finds a row.
pub(crate) fn exists(conn: &Connection, sql: &str, params: impl Params) -> Result<bool, StoreError> {
    Ok(conn.prepare_cached(sql)?.exists(params)?)
}

/// Runs a statement; the number of rows that it changed.
pub(crate) fn execute(conn: &Connection, sql: &str, params: impl Params) -> Result<usize, StoreError> {
    Ok(conn.prepare_cached(sql)?.execute(params)?)
}

/// A column of a type that SQLite knows.
pub(crate) fn get<T: FromSql>(row: &Row<'_>, column: &str) -> Result<T, StoreError> {
    Ok(row.get(column)?)
}

/// A column with an id or a name.
pub(crate) fn parsed<T: FromStr>(row: &Row<'_>, column: &str) -> Result<T, StoreError> {
    let text: String = row.get(column)?;
    text.parse().map_err(|_| StoreError::corrupt(column))
}

/// A column with an id that may be missing.
pub(crate) fn parsed_opt<T: FromStr>(row: &Row<'_>, column: &str) -> Result<Option<T>, StoreError> {
    let text: Option<String> = row.get(column)?;
    text.map(|text| text.parse().map_err(|_| StoreError::corrupt(column))).transpose()
}

/// A column with one word of a closed list.
pub(crate) fn word<T: DeserializeOwned>(row: &Row<'_>, column: &str) -> Result<T, StoreError> {
    let text: String = row.get(column)?;
    serde_json::from_value(serde_json::Value::String(text)).map_err(|_| StoreError::corrupt(column))
}

/// A column with a JSON document.
pub(crate) fn json<T: DeserializeOwned>(row: &Row<'_>, column: &str) -> Result<T, StoreError> {
    let text: String = row.get(column)?;
    serde_json::from_str(&text).map_err(|_| StoreError::corrupt(column))
}

/// A column with a number that is never negative.
pub(crate) fn unsigned<T: TryFrom<i64>>(row: &Row<'_>, column: &str) -> Result<T, StoreError> {
    T::try_from(row.get(column)?).map_err(|_| StoreError::corrupt(column))
}

/// A column with a time.
pub(crate) fn time(row: &Row<'_>, column: &str) -> Result<Timestamp, StoreError> {
    let ns: i64 = row.get(column)?;
    Timestamp::from_nanosecond(ns.into()).map_err(|_| StoreError::corrupt(column))
}

/// A column with a time that may be missing.
pub(crate) fn time_opt(row: &Row<'_>, column: &str) -> Result<Option<Timestamp>, StoreError> {
    let ns: Option<i64> = row.get(column)?;
    ns.map(|ns| Timestamp::from_nanosecond(ns.into()).map_err(|_| StoreError::corrupt(column))).transpose()
}

/// A time as it is stored: nanoseconds; times beyond the year 2262 are stored as that.
pub(crate) fn time_ns(time: Timestamp) -> i64 {
    let ns = time.as_nanosecond();
    i64::try_from(ns).unwrap_or(if ns < 0 { i64::MIN } else { i64::MAX })
}

/// A value of a closed list as it is stored.
pub(crate) fn word_text<T: Serialize>(value: &T) -> Result<String, StoreError> {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(text)) => Ok(text),
        _ => Err(StoreError::corrupt("a word that is not text")),
    }
}

/// A document as it is stored.
pub(crate) fn json_text<T: Serialize>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|_| StoreError::corrupt("a document that is not JSON"))
}

/// A count as it is stored; what does not fit is stored as the largest number.
pub(crate) fn count(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
