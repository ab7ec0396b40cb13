//! A program for tests: without arguments nothing but a shim; with `node ROOT` a node that starts the workload on its
//! standard input and then waits to be killed.

use std::process::ExitCode;

use reef_driver::Driver;
use reef_driver_process::{ProcessConfig, ProcessDriver, ShimCommand};

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    match (arguments.next(), arguments.next()) {
        (Some(verb), Some(root)) if verb == "node" => node(root.into()),
        _ => reef_sandbox::shim::main(),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn node(root: std::path::PathBuf) -> ExitCode {
    let shim = ShimCommand { program: "/proc/self/exe".into(), args: Vec::new() };
    let versions = root.with_file_name("versions");
    let driver = ProcessDriver::new(ProcessConfig { root, versions, shim });
    let workload = serde_json::from_reader(std::io::stdin()).expect("a workload");
    driver.prepare(&workload).await.expect("prepare");
    driver.start(&workload).await.expect("start");
    println!("started");
    std::future::pending().await
}
