use reef_types::{JobKind, JobState, Progress};

use super::*;
use crate::testing;

async fn create(store: &Store) -> Job {
    let job = testing::job(InstanceId::new(), JobKind::InstanceStart);
    store.job_create(job.clone(), testing::audit("job.create")).await.unwrap();
    job
}

#[tokio::test]
async fn a_job_lives_until_it_is_settled() {
    let (_dir, store) = testing::store();
    let mut job = create(&store).await;
    assert_eq!(store.job_get(job.id).await.unwrap(), Some(job.clone()));
    job.state = JobState::Running;
    job.progress = Progress { step: "fetching".to_owned(), done: 3, total: 9, unit: "bytes".to_owned() };
    job.updated_at = Timestamp::now();
    store.job_update(job.clone()).await.unwrap();
    assert_eq!(store.job_get(job.id).await.unwrap(), Some(job.clone()));

    let failed = Job {
        state: JobState::Failed,
        reason: Some("no_network".to_owned()),
        message: Some("try again".to_owned()),
        ..job.clone()
    };
    store.job_update(failed.clone()).await.unwrap();
    for late in [job, Job { state: JobState::Done, ..failed.clone() }] {
        store.job_update(late).await.unwrap();
        assert_eq!(store.job_get(failed.id).await.unwrap(), Some(failed.clone()), "settled is settled");
    }
    let unknown = testing::job(InstanceId::new(), JobKind::InstanceStop);
    assert!(matches!(store.job_update(unknown).await, Err(StoreError::NotFound)));
}

#[tokio::test]
async fn newest_first_and_pruned_from_the_old_end() {
    let (_dir, store) = testing::store();
    let mut ids = Vec::new();
    for settled in [true, false, true, true, true] {
        let job = create(&store).await;
        ids.push(job.id);
        if settled {
            store.job_update(Job { state: JobState::Done, ..job }).await.unwrap();
        }
    }
    let listed = |jobs: Vec<Job>| jobs.iter().map(|job| job.id).collect::<Vec<_>>();
    assert_eq!(listed(store.job_list(2).await.unwrap()), [ids[4], ids[3]]);
    assert_eq!(listed(store.job_open().await.unwrap()), [ids[1]]);
    assert_eq!(store.job_prune(2).await.unwrap(), 2);
    assert_eq!(listed(store.job_list(10).await.unwrap()), [ids[4], ids[3], ids[1]], "the open one stays");
    assert_eq!(store.job_prune(2).await.unwrap(), 0);
}
