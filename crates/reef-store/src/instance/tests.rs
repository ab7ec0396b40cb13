use reef_types::{JobKind, JobState, Phase, Progress};
use secrecy::ExposeSecret;

use super::*;
use crate::{REASON_SUPERSEDED, testing};

async fn create(store: &Store, name: &str) -> InstanceRow {
    let spec = testing::spec(name);
    let job = testing::job(spec.id, JobKind::InstanceStart);
    let secrets = vec![("gateway".to_owned(), SecretString::from("s3cret"))];
    store.instance_create(spec, job, secrets, testing::audit("instance.create")).await.unwrap()
}

async fn change(store: &Store, id: InstanceId, change: DesiredChange) -> Result<InstanceRow, StoreError> {
    store.instance_set_desired(id, change, None, testing::audit("instance.change")).await
}

fn wish(desired: Desired) -> DesiredChange {
    DesiredChange { desired, delete_data: None, restart: false }
}

#[tokio::test]
async fn an_instance_comes_back_as_it_was_made() {
    let (_dir, store) = testing::store();
    let made = create(&store, "scout").await;
    assert_eq!((made.desired, made.run_generation, made.status.phase), (Desired::Running, 1, Phase::Pending));
    let id = made.spec.id;
    for found in [
        store.instance_get(id).await.unwrap(),
        store.instance_find("scout").await.unwrap(),
        store.instance_find(&id.to_string()).await.unwrap(),
    ] {
        assert_eq!(found.as_ref(), Some(&made));
    }
    for unknown in ["scou", "SCOUT", "", "ins_", "../x", &InstanceId::new().to_string()] {
        assert_eq!(store.instance_find(unknown).await.unwrap(), None, "{unknown}");
    }
    create(&store, "alpha").await;
    let names: Vec<_> = store.instance_list().await.unwrap().iter().map(|row| row.spec.name.to_string()).collect();
    assert_eq!(names, ["alpha", "scout"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_creates_with_one_name_exactly_one_wins() {
    const TRIES: usize = 16;
    let (_dir, store) = testing::store();
    let tries = (0..TRIES).map(|_| {
        let store = store.clone();
        tokio::spawn(async move {
            let spec = testing::spec("scout");
            let job = testing::job(spec.id, JobKind::InstanceStart);
            store.instance_create(spec, job, Vec::new(), testing::audit("instance.create")).await
        })
    });
    let mut won = 0;
    for attempt in tries.collect::<Vec<_>>() {
        match attempt.await.unwrap() {
            Ok(_) => won += 1,
            Err(err) => assert!(matches!(err, StoreError::NameInUse), "{err:?}"),
        }
    }
    assert_eq!(won, 1);
    assert_eq!(store.instance_list().await.unwrap().len(), 1);
    assert_eq!(store.job_list(100).await.unwrap().len(), 1, "the losers leave nothing behind");
    assert_eq!(store.audit_list(100).await.unwrap().len(), 1);
}

#[tokio::test]
async fn generations_rise_with_changes_only() {
    let (_dir, store) = testing::store();
    let id = create(&store, "scout").await.spec.id;
    let restart = DesiredChange { restart: true, ..wish(Desired::Running) };
    let delete = DesiredChange { delete_data: Some(true), ..wish(Desired::Deleted) };
    for (change_to, generation, run_generation) in [
        (wish(Desired::Running), 1, 1),
        (restart, 2, 2),
        (wish(Desired::Stopped), 3, 2),
        (wish(Desired::Stopped), 3, 2),
        (wish(Desired::Running), 4, 4),
        (wish(Desired::Deleted), 5, 4),
        (delete, 6, 4),
        (delete, 6, 4),
    ] {
        let row = change(&store, id, change_to).await.unwrap();
        assert_eq!((row.spec.generation, row.run_generation), (generation, run_generation), "{change_to:?}");
        assert_eq!(row.desired, change_to.desired);
        assert_eq!(store.instance_get(id).await.unwrap(), Some(row));
    }
    assert!(store.instance_get(id).await.unwrap().unwrap().delete_data);
    assert!(matches!(change(&store, id, wish(Desired::Running)).await, Err(StoreError::Conflict)));
    assert!(matches!(change(&store, InstanceId::new(), restart).await, Err(StoreError::NotFound)));
}

#[tokio::test]
async fn a_new_job_takes_over() {
    let (_dir, store) = testing::store();
    let (scout, other) = (create(&store, "scout").await.spec.id, create(&store, "other").await.spec.id);
    let stop = testing::job(scout, JobKind::InstanceStop);
    let stop_id = stop.id;
    let audit = testing::audit("instance.stop");
    store.instance_set_desired(scout, wish(Desired::Stopped), Some(stop), audit).await.unwrap();
    for job in store.job_list(10).await.unwrap() {
        let expect = match job.id == stop_id || job.instance_id == Some(other) {
            true => (JobState::Queued, None),
            false => (JobState::Cancelled, Some(REASON_SUPERSEDED)),
        };
        assert_eq!((job.state, job.reason.as_deref()), expect, "{job:?}");
    }
    let open: Vec<_> = store.job_open().await.unwrap().iter().map(|job| job.instance_id).collect();
    assert_eq!(open, [Some(other), Some(scout)]);
}

#[tokio::test]
async fn status_is_written_when_it_differs() {
    let (_dir, store) = testing::store();
    let id = create(&store, "scout").await.spec.id;
    let mut status = InstanceStatus::pending();
    status.phase = Phase::Running;
    status.set_condition("Ready", true, "ready", "answers", Timestamp::now());
    store.instance_set_status(id, status.clone()).await.unwrap();
    assert_eq!(store.instance_get(id).await.unwrap().unwrap().status, status);

    let changes = || store.write(|tx| Ok(tx.query_row("SELECT total_changes()", (), |row| row.get::<_, i64>(0))?));
    let before = changes().await.unwrap();
    store.instance_set_status(id, status).await.unwrap();
    assert_eq!(changes().await.unwrap(), before);
    let missing = store.instance_set_status(InstanceId::new(), InstanceStatus::pending()).await;
    assert!(matches!(missing, Err(StoreError::NotFound)));
}

#[tokio::test]
async fn removing_takes_the_secrets_and_frees_the_name() {
    let (_dir, store) = testing::store();
    let id = create(&store, "scout").await.spec.id;
    let scope = id.to_string();
    assert_eq!(store.secret_get(&scope, "gateway").await.unwrap().unwrap().expose_secret(), "s3cret");
    store.instance_remove(id).await.unwrap();
    store.instance_remove(id).await.unwrap();
    assert_eq!(store.instance_get(id).await.unwrap(), None);
    assert!(store.secret_get(&scope, "gateway").await.unwrap().is_none());
    assert_eq!(store.job_list(10).await.unwrap().len(), 1, "its jobs still tell what happened");
    create(&store, "scout").await;
}

#[tokio::test]
async fn a_damaged_row_is_named_and_not_guessed() {
    let (_dir, store) = testing::store();
    create(&store, "scout").await;
    store.write(|tx| Ok(tx.execute("UPDATE instances SET egress = 'wide'", ())?)).await.unwrap();
    match store.instance_list().await {
        Err(StoreError::Corrupt { what }) => assert_eq!(what, "egress"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_job_that_is_created_twice_rolls_the_instance_back() {
    let (_dir, store) = testing::store();
    let spec = testing::spec("scout");
    let job = testing::job(spec.id, JobKind::InstanceStart);
    store.job_create(job.clone(), testing::audit("job")).await.unwrap();
    let refused =
        store.instance_create(spec, Job { progress: Progress::default(), ..job }, Vec::new(), testing::audit("x"));
    assert!(refused.await.is_err());
    assert!(store.instance_list().await.unwrap().is_empty());
}
