//! A program that is nothing but a shim, for tests.

use std::process::ExitCode;

fn main() -> ExitCode {
    reef_sandbox::shim::main()
}
