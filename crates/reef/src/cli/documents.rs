//! Documents that the program holds of itself: the OpenAPI document, completions, the manual page.

use clap_complete::Shell;

use super::{Program, failure::Failure, output};

pub(crate) fn openapi(program: &Program) -> Result<(), Failure> {
    let text = (program.openapi)();
    output::print(text.trim_end())?;
    output::print("\n")
}

pub(crate) fn completions(program: Program, shell: Shell) -> Result<(), Failure> {
    let mut command = program.command;
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, name, &mut script);
    output::print(&String::from_utf8_lossy(&script))
}

pub(crate) fn man(program: Program) -> Result<(), Failure> {
    let mut page = Vec::new();
    clap_mangen::Man::new(program.command).render(&mut page)?;
    output::print(&String::from_utf8_lossy(&page))
}
