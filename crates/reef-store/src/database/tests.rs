use std::{fs, os::unix::fs::MetadataExt, path::PathBuf};

use tempfile::TempDir;

use super::*;

const FIRST: Migration = Migration {
    number: 1,
    name: "first",
    sql: "CREATE TABLE parents (id INTEGER PRIMARY KEY) STRICT;
          CREATE TABLE things (id INTEGER PRIMARY KEY, parent INTEGER REFERENCES parents (id) ON DELETE CASCADE) STRICT;
          INSERT INTO parents VALUES (1);
          INSERT INTO things VALUES (1, 1);",
};
const SECOND: Migration =
    Migration { number: 2, name: "second", sql: "ALTER TABLE things ADD COLUMN note TEXT NOT NULL DEFAULT 'new';" };

const V1: Schema = schema(&[FIRST]);
const V2: Schema = schema(&[FIRST, SECOND]);

const fn schema(migrations: &'static [Migration]) -> Schema {
    Schema { name: "test", application_id: 7, migrations }
}

fn file() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("test.db");
    (dir, path)
}

fn open(path: &Path, schema: &Schema) -> Result<Database, StoreError> {
    Database::open(path, schema, Durability::PowerCut, |_| Ok(())).map(|(database, ())| database)
}

async fn count_of(database: &Database, sql: &'static str) -> u32 {
    database.read(move |tx| Ok(tx.query_row(sql, (), |row| row.get(0))?)).await.unwrap()
}

#[tokio::test]
async fn a_new_file_gets_all_migrations_and_no_backup() {
    let (dir, path) = file();
    let database = open(&path, &V2).unwrap();
    assert_eq!(count_of(&database, "SELECT count(*) FROM things WHERE note = 'new'").await, 1);
    assert_eq!(count_of(&database, "SELECT user_version FROM pragma_user_version").await, 2);
    drop(database);
    let names: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["test.db"], "the log is folded in and nothing else was made");
    drop(open(&path, &V2).unwrap());
}

#[tokio::test]
async fn an_older_file_is_backed_up_before_it_changes() {
    let (dir, path) = file();
    drop(open(&path, &V1).unwrap());
    // What an attempt that was killed leaves behind must not be in the way.
    fs::write(dir.path().join("test.db.v0001.unfinished"), "half").unwrap();
    let database = open(&path, &V2).unwrap();
    assert_eq!(count_of(&database, "SELECT count(*) FROM things WHERE note = 'new'").await, 1);

    let backup = dir.path().join("test.db.v0001.backup");
    assert_eq!(fs::metadata(&backup).unwrap().mode() & 0o777, 0o600);
    let before = open(&backup, &V1).unwrap();
    assert_eq!(count_of(&before, "SELECT count(*) FROM things").await, 1);
    assert!(!dir.path().join("test.db.v0001.unfinished").exists());
}

#[test]
fn other_histories_are_refused_and_left_alone() {
    const EDITED: Migration = Migration { sql: "CREATE TABLE other (id INTEGER PRIMARY KEY) STRICT;", ..FIRST };
    let (_dir, path) = file();
    drop(open(&path, &V2).unwrap());
    let before = fs::read(&path).unwrap();
    assert!(matches!(open(&path, &V1), Err(StoreError::NewerSchema { found: 2, known: 1 })));
    let edited = schema(&[EDITED, SECOND]);
    assert!(matches!(open(&path, &edited), Err(StoreError::MigrationChanged { number: 1 })));
    let other = Schema { application_id: 8, ..V2 };
    assert!(matches!(open(&path, &other), Err(StoreError::Corrupt { .. })));
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn a_migration_that_fails_changes_nothing() {
    const BROKEN: Migration = Migration { number: 2, name: "broken", sql: "DROP TABLE things; SELECT nonsense;" };
    const DANGLING: Migration = Migration { number: 2, name: "dangling", sql: "DELETE FROM parents;" };
    for bad in [&[FIRST, BROKEN], &[FIRST, DANGLING]] {
        let (_dir, path) = file();
        drop(open(&path, &V1).unwrap());
        assert!(open(&path, &schema(bad)).is_err(), "{}", bad[1].name);
        drop(open(&path, &V2).expect("still at version 1, with its table"));
    }
}

#[test]
fn rubbish_is_recognised() {
    let (_dir, path) = file();
    fs::write(&path, "not a database, whatever its name says".repeat(100)).unwrap();
    assert!(matches!(open(&path, &V1), Err(StoreError::Corrupt { .. })));
}

#[tokio::test]
async fn an_error_rolls_the_whole_change_back() {
    let (_dir, path) = file();
    let database = open(&path, &V1).unwrap();
    let failed = database.write(|tx| {
        tx.execute("INSERT INTO things VALUES (2, 1)", ())?;
        Err::<(), _>(StoreError::Conflict)
    });
    assert!(matches!(failed.await, Err(StoreError::Conflict)));
    assert_eq!(count_of(&database, "SELECT count(*) FROM things").await, 1);
}

#[tokio::test]
async fn a_change_outlives_whoever_asked() {
    let (_dir, path) = file();
    let database = open(&path, &V1).unwrap();
    {
        let change = database.write(|tx| Ok(tx.execute("INSERT INTO things VALUES (2, 1)", ())?));
        // Queued by the first poll, then dropped.
        let _ = tokio::time::timeout(std::time::Duration::ZERO, change).await;
    }
    database.write(|_| Ok(())).await.unwrap();
    assert_eq!(count_of(&database, "SELECT count(*) FROM things").await, 2);
}

#[tokio::test]
async fn readers_cannot_change_and_see_one_state() {
    let (_dir, path) = file();
    let database = std::sync::Arc::new(open(&path, &V1).unwrap());
    let refused = database.read(|tx| Ok(tx.execute("DELETE FROM things", ())?)).await;
    assert!(matches!(refused, Err(StoreError::Sqlite(_))), "{refused:?}");

    let (first_read, seen_first) = tokio::sync::oneshot::channel();
    let (go_on, wait) = std::sync::mpsc::sync_channel::<()>(1);
    let reader = std::sync::Arc::clone(&database);
    let both = tokio::spawn(async move {
        let query = move |tx: &Transaction<'_>| {
            let count = || tx.query_row("SELECT count(*) FROM things", (), |row| row.get::<_, u32>(0));
            let before = count()?;
            first_read.send(()).unwrap();
            wait.recv().unwrap();
            Ok((before, count()?))
        };
        reader.read(query).await
    });
    seen_first.await.unwrap();
    database.write(|tx| Ok(tx.execute("INSERT INTO things VALUES (2, 1)", ())?)).await.unwrap();
    go_on.send(()).unwrap();
    assert_eq!(both.await.unwrap().unwrap(), (1, 1), "a write neither waits for a reader nor shows up in it");
    assert_eq!(count_of(&database, "SELECT count(*) FROM things").await, 2);
}

#[tokio::test]
async fn after_close_everything_is_refused() {
    let (_dir, path) = file();
    let database = open(&path, &V1).unwrap();
    database.close().await;
    database.close().await;
    assert!(matches!(database.read(|_| Ok(())).await, Err(StoreError::Closed)));
    assert!(matches!(database.write(|_| Ok(())).await, Err(StoreError::Closed)));
}

#[tokio::test]
async fn a_full_disk_is_told_apart_and_survived() {
    let (_dir, path) = file();
    let database = open(&path, &V1).unwrap();
    let filled = database.write(|tx| {
        // SQLite's own limit stands in for the disk: it takes the same path.
        tx.pragma_update(None, "max_page_count", 1)?;
        tx.execute("CREATE TABLE big (data BLOB) STRICT", ())?;
        tx.execute("INSERT INTO big VALUES (zeroblob(1000000))", ())?;
        Ok(())
    });
    assert!(matches!(filled.await, Err(StoreError::Full)));
    assert_eq!(count_of(&database, "SELECT count(*) FROM things").await, 1);
}
