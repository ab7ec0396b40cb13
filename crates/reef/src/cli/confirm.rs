//! Asks before something is destroyed.

use std::io::{self, IsTerminal, Write};

use super::failure::Failure;

/// Asks a yes-or-no question on the terminal; anything but `y` or `yes` is a no.
///
/// # Errors
/// `Usage` when there is nobody to ask: a script must say `--yes`.
pub(crate) fn confirm(question: &str) -> Result<bool, Failure> {
    if !io::stdin().is_terminal() {
        return Err(Failure::Usage("this needs a confirmation: say --yes".to_owned()));
    }
    let mut stderr = io::stderr().lock();
    write!(stderr, "{question} [y/N] ")?;
    stderr.flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}
