//! Writes a stub page where the real one was not built, so that building the hub never needs Node.

use std::{fs, path::Path};

const STUB: &str = "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>Reef</title>\n\
<h1>The page was not built</h1>\n<p>Run <code>cargo xtask ui</code>, then build Reef again. The command line and the API \
work without it.</p>\n</html>\n";

fn main() {
    let dist = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../ui/dist");
    println!("cargo:rerun-if-changed={}", dist.display());
    let index = dist.join("index.html");
    if !index.exists() {
        fs::create_dir_all(&dist).expect("ui/dist can be made");
        fs::write(index, STUB).expect("the stub page can be written");
    }
}
