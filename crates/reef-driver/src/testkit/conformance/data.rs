//! Files: written as asked, kept as promised, gone when promised.

use reef_types::InstanceId;

use super::{Program, Subject, file, launch, reason, workload};
use crate::{DataPolicy, Driver, Reason};

const OURS: &str = "/reef/state/ours.txt";
const THEIRS: &str = "/reef/workspace/deep/er/theirs.txt";

async fn assert_gone(driver: &dyn Driver, id: InstanceId) {
    assert!(driver.inventory().await.unwrap().iter().all(|seen| seen.id != id), "it is still in the inventory");
    assert_eq!(reason(driver.observe(id).await), Reason::NotFound);
}

pub(super) async fn preparing_writes_files_and_spares_those_of_the_instance(subject: &mut dyn Subject) {
    let driver = subject.driver();
    let mut workload = workload(subject, &Program::Idle);
    workload.files = vec![file(OURS, "one", true), file(THEIRS, "one", false)];
    driver.prepare(&workload).await.unwrap();
    workload.files = vec![file(OURS, "two", true), file(THEIRS, "two", false)];
    driver.prepare(&workload).await.unwrap();
    assert_eq!(subject.file(workload.id, OURS).await.as_deref(), Some("two"));
    assert_eq!(subject.file(workload.id, THEIRS).await.as_deref(), Some("one"));
    driver.destroy(workload.id, DataPolicy::Delete).await.unwrap();
}

pub(super) async fn destroying_with_keep_leaves_the_files_to_the_next_one(subject: &mut dyn Subject) {
    let driver = subject.driver();
    let mut workload = workload(subject, &Program::Idle);
    workload.files = vec![file(THEIRS, "precious", false)];
    launch(&*driver, &workload).await;
    let destroyed = driver.destroy(workload.id, DataPolicy::Keep).await.unwrap();
    assert!(!destroyed.kept.is_empty(), "{destroyed:?}");
    assert_eq!(subject.file(workload.id, THEIRS).await.as_deref(), Some("precious"));
    workload.files = vec![file(THEIRS, "new", false)];
    driver.prepare(&workload).await.unwrap();
    assert_eq!(subject.file(workload.id, THEIRS).await.as_deref(), Some("precious"));
    // What was kept can still be deleted, also when the instance is long gone.
    driver.destroy(workload.id, DataPolicy::Keep).await.unwrap();
    driver.destroy(workload.id, DataPolicy::Delete).await.unwrap();
    assert_eq!(subject.file(workload.id, THEIRS).await, None);
}

pub(super) async fn destroying_with_delete_leaves_nothing(subject: &mut dyn Subject) {
    let driver = subject.driver();
    let mut workload = workload(subject, &Program::Exit { code: 0 });
    workload.files = vec![file(OURS, "x", true), file(THEIRS, "x", true)];
    launch(&*driver, &workload).await;
    let destroyed = driver.destroy(workload.id, DataPolicy::Delete).await.unwrap();
    assert!(destroyed.kept.is_empty() && !destroyed.removed.is_empty(), "{destroyed:?}");
    assert_eq!(subject.file(workload.id, OURS).await, None);
    assert_eq!(subject.file(workload.id, THEIRS).await, None);
    assert_gone(&*driver, workload.id).await;
}

pub(super) async fn a_running_one_can_be_destroyed(subject: &mut dyn Subject) {
    let driver = subject.driver();
    let workload = workload(subject, &Program::Idle);
    launch(&*driver, &workload).await;
    driver.destroy(workload.id, DataPolicy::Delete).await.unwrap();
    assert_gone(&*driver, workload.id).await;
    // And made again from nothing.
    launch(&*driver, &workload).await;
    driver.destroy(workload.id, DataPolicy::Delete).await.unwrap();
}
