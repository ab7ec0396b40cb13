//! The fake keeps the promises that it stands in for.
#![cfg(feature = "testkit")]

use std::sync::Arc;

use reef_driver::{
    Driver, DriverError, Reason,
    testkit::{
        Failure, FakeDriver, Program, Verb,
        conformance::{Subject, run_all},
    },
};
use reef_types::InstanceId;

struct Fake(FakeDriver);

#[async_trait::async_trait]
impl Subject for Fake {
    fn driver(&self) -> Arc<dyn Driver> {
        Arc::new(self.0.clone())
    }

    async fn recreate(&mut self) {
        self.0 = self.0.recreated();
    }

    fn argv(&self, program: &Program) -> Vec<String> {
        program.fake_argv()
    }

    async fn file(&self, id: InstanceId, path: &str) -> Option<String> {
        self.0.file(id, path)
    }
}

#[tokio::test]
async fn the_fake_conforms() {
    run_all(|| async { Fake(FakeDriver::default()) }).await;
}

#[tokio::test]
#[should_panic(expected = "connections::a_door_leads_to_the_hub")]
async fn a_driver_that_breaks_a_promise_does_not_conform() {
    let broken = || async {
        let driver = FakeDriver::default();
        driver.fail(Failure::Refuse { verb: Verb::Door, error: DriverError::new(Reason::Internal, "stuck") });
        Fake(driver)
    };
    run_all(broken).await;
}
