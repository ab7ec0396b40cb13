//! The promises of every driver, kept by this one.

use std::{path::PathBuf, sync::Arc};

use async_trait::async_trait;
use reef_driver::{
    Driver,
    testkit::conformance::{self, Subject},
};
use reef_driver_process::{ProcessConfig, ProcessDriver, ShimCommand};
use reef_types::InstanceId;

struct Machine {
    dir: tempfile::TempDir,
    driver: Arc<ProcessDriver>,
}

impl Machine {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let driver = driver(&dir);
        Self { dir, driver }
    }

    fn instances(&self) -> PathBuf {
        self.dir.path().join("instances")
    }
}

fn driver(dir: &tempfile::TempDir) -> Arc<ProcessDriver> {
    Arc::new(ProcessDriver::new(ProcessConfig {
        root: dir.path().join("instances"),
        versions: dir.path().join("versions"),
        shim: ShimCommand { program: env!("CARGO_BIN_EXE_reef-shim").into(), args: Vec::new() },
    }))
}

#[async_trait]
impl Subject for Machine {
    fn driver(&self) -> Arc<dyn Driver> {
        self.driver.clone()
    }

    async fn recreate(&mut self) {
        self.driver = driver(&self.dir);
    }

    async fn file(&self, id: InstanceId, path: &str) -> Option<String> {
        let relative = path.strip_prefix("/reef/").or_else(|| path.strip_prefix("/home/agent/"))?;
        std::fs::read_to_string(self.instances().join(id.to_string()).join(relative)).ok()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        for entry in std::fs::read_dir(self.instances()).into_iter().flatten().flatten() {
            let text = std::fs::read(entry.path().join("run/shim.json")).unwrap_or_default();
            if let Ok(record) = serde_json::from_slice::<reef_sandbox::RunRecord>(&text) {
                let _ = record.shim.kill();
            }
        }
    }
}

#[tokio::test]
async fn keeps_every_promise() {
    conformance::run_all(|| async { Machine::new() }).await;
}
