use std::sync::Arc;

use reef_driver::{
    Driver,
    testkit::{
        FakeDriver, Program,
        conformance::{Subject, run_all},
    },
};
use reef_types::InstanceId;

use crate::fixture::Node;

#[async_trait::async_trait]
impl Subject for Node {
    fn driver(&self) -> Arc<dyn Driver> {
        self.remote()
    }

    async fn recreate(&mut self) {
        self.stop().await;
        self.serve();
    }

    fn argv(&self, program: &Program) -> Vec<String> {
        program.fake_argv()
    }

    async fn file(&self, id: InstanceId, path: &str) -> Option<String> {
        self.driver.file(id, path)
    }
}

#[tokio::test]
async fn a_driver_behind_the_socket_keeps_its_promises() {
    run_all(|| async { Node::start() }).await;
}

#[tokio::test]
async fn so_does_one_whose_connections_are_copied() {
    run_all(|| async { Node::with(FakeDriver::default().without_sockets()) }).await;
}
