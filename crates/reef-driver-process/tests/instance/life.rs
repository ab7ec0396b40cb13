//! Starting, ending, and being found again.

use reef_driver::{Driver, ProcessState};

use crate::fixture::Fixture;

#[tokio::test]
async fn a_program_runs_and_ends_with_its_status() {
    let mut fixture = Fixture::new();
    let id = fixture.start("id -u; hostname; pwd; exit 3").await;
    let exit = fixture.exit(id).await;
    assert_eq!((exit.code, exit.signal, exit.out_of_memory), (Some(3), None, false));
    assert_eq!(fixture.text(id, "stdout").await, "1000\nscout\n/home/agent");
    let observed = fixture.driver.observe(id).await.unwrap();
    assert_eq!(observed.generation, 7);
    assert!(matches!(observed.process, ProcessState::Exited { .. }));
    fixture.clean().await;
}
