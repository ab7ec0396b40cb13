//! Secret files come, change and go while the program runs.

use super::{Program, Subject, clear, launch, logs::wait_for_line, secret, workload};

const NAME: &str = "gateway-token";

pub(super) async fn they_are_there_at_the_start_and_replaced_and_taken_away(subject: &mut dyn Subject) {
    let driver = subject.driver();
    let mut workload = workload(subject, &Program::ShowSecret { name: NAME.to_owned() });
    workload.secrets = vec![secret(NAME, "first"), secret("other", "x")];
    launch(&*driver, &workload).await;
    wait_for_line(&*driver, workload.id, "secret: first").await;
    driver.put_secrets(workload.id, &[secret(NAME, "second")]).await.unwrap();
    wait_for_line(&*driver, workload.id, "secret: second").await;
    driver.put_secrets(workload.id, &[]).await.unwrap();
    wait_for_line(&*driver, workload.id, "secret: none").await;
    // A start brings them back.
    driver.stop(workload.id, 5_000).await.unwrap();
    workload.secrets = vec![secret(NAME, "third")];
    driver.start(&workload).await.unwrap();
    wait_for_line(&*driver, workload.id, "secret: third").await;
    clear(&*driver, workload.id).await;
}
