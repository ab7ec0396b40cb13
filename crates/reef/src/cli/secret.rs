//! Takes a secret from stdin; never from the command line, which every user of the machine can read.

use std::io::{self, IsTerminal, Read, Write};

use rustix::termios::{self, LocalModes, OptionalActions, Termios};
use secrecy::SecretString;

use super::failure::Failure;

/// The longest secret, in bytes.
const SECRET_BYTES_MAX: u64 = 64 << 10;

/// Reads one line (or all of a pipe) without showing it.
pub(crate) fn read(prompt: &str) -> Result<SecretString, Failure> {
    let text = if io::stdin().is_terminal() { ask(prompt)? } else { read_all()? };
    let secret = text.trim_end_matches(['\r', '\n']);
    if secret.is_empty() {
        return Err(Failure::Usage(format!("{prompt}: nothing was given on stdin")));
    }
    Ok(SecretString::from(secret))
}

fn read_all() -> Result<String, Failure> {
    let mut text = String::new();
    io::stdin().take(SECRET_BYTES_MAX).read_to_string(&mut text)?;
    Ok(text)
}

fn ask(prompt: &str) -> Result<String, Failure> {
    let mut stderr = io::stderr().lock();
    write!(stderr, "{prompt}: ")?;
    stderr.flush()?;
    let mut line = String::new();
    {
        let _quiet = Quiet::new()?;
        io::stdin().read_line(&mut line)?;
    }
    writeln!(stderr)?;
    Ok(line)
}

/// The terminal does not echo while this lives.
struct Quiet(Termios);

impl Quiet {
    fn new() -> Result<Self, Failure> {
        let before = termios::tcgetattr(io::stdin()).map_err(io::Error::from)?;
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO);
        termios::tcsetattr(io::stdin(), OptionalActions::Flush, &quiet).map_err(io::Error::from)?;
        Ok(Self(before))
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        // Nothing better can be done than to try; the shell restores its own modes too.
        let _restored = termios::tcsetattr(io::stdin(), OptionalActions::Now, &self.0);
    }
}
