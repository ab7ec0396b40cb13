//! Small programs that the conformance suite has drivers run.

use serde::{Deserialize, Serialize};

use crate::sandbox_paths;

/// What a program does. All but `Exit` and `Print` run until they are stopped, and end at once on SIGTERM unless said
/// otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Program {
    /// Nothing.
    Idle,
    /// Ignores SIGTERM.
    Stubborn,
    /// Ends at once.
    Exit { code: u8 },
    /// Prints lines to standard output and ends with 0.
    Print { lines: Vec<String> },
    /// Prints `tick 1`, `tick 2`, … to standard output, about ten a second.
    Tick,
    /// Accepts connections on a loopback port and sends back what comes.
    Echo { port: u16 },
    /// Connects to a loopback port, sends `knock\n`, and prints `answer: ` and the line that comes back.
    Knock { port: u16 },
    /// Prints `secret: ` and the content of a secret file, or `secret: none`, whenever that changes.
    ShowSecret { name: String },
}

impl Program {
    /// The program for a sandbox that has `/bin/sh` and `/usr/bin/perl` (Debian's perl-base is enough).
    pub fn shell_argv(&self) -> Vec<String> {
        const UNTIL_TERM: &str = "trap 'exit 0' TERM; while :; do sleep 1 & wait $!; done";
        let sh = |script: String| vec!["/bin/sh".to_owned(), "-c".to_owned(), script];
        let perl = |script: String| {
            let flags = ["/usr/bin/perl", "-MIO::Socket::INET", "-e"];
            flags.into_iter().map(str::to_owned).chain([script]).collect()
        };
        match self {
            Program::Idle => sh(UNTIL_TERM.to_owned()),
            Program::Stubborn => sh("trap '' TERM; while :; do sleep 1; done".to_owned()),
            Program::Exit { code } => sh(format!("exit {code}")),
            Program::Print { lines } => {
                let mut argv = sh(r#"printf '%s\n' "$@""#.to_owned());
                argv.push("sh".to_owned());
                argv.extend(lines.iter().cloned());
                argv
            }
            Program::Tick => {
                sh("trap 'exit 0' TERM; i=0; while :; do i=$((i+1)); echo tick $i; sleep 0.1 & wait $!; done"
                    .to_owned())
            }
            Program::Echo { port } => perl(format!(
                "$SIG{{TERM}} = sub {{ exit 0 }}; \
                 my $l = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => {port}, Listen => 8, ReuseAddr => 1) \
                 or die $!; \
                 while (1) {{ my $c = $l->accept or next; while (sysread($c, my $b, 4096)) {{ syswrite($c, $b) }} }}"
            )),
            Program::Knock { port } => perl(format!(
                "$| = 1; $SIG{{TERM}} = sub {{ exit 0 }}; \
                 my $c = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => {port}) or die $!; \
                 print $c \"knock\\n\"; $c->flush; my $line = <$c>; print \"answer: $line\"; \
                 while (1) {{ sleep 1 }}"
            )),
            Program::ShowSecret { name } => sh(format!(
                "trap 'exit 0' TERM; last=; while :; do \
                 if [ -f {dir}/{name} ]; then now=\"secret: $(cat {dir}/{name})\"; else now='secret: none'; fi; \
                 if [ \"$now\" != \"$last\" ]; then echo \"$now\"; last=$now; fi; sleep 0.05 & wait $!; done",
                dir = sandbox_paths::SECRETS
            )),
        }
    }

    /// The program for [`super::FakeDriver`], which acts it out.
    pub fn fake_argv(&self) -> Vec<String> {
        let json = serde_json::to_string(self).expect("a program is plain data");
        vec![FAKE_ARGV0.to_owned(), json]
    }

    /// What the fake acts out for a workload: any argv that it does not know runs until it is stopped.
    pub(super) fn from_fake_argv(argv: &[String]) -> Self {
        match argv {
            [name, json] if name == FAKE_ARGV0 => serde_json::from_str(json).unwrap_or(Program::Idle),
            _ => Program::Idle,
        }
    }
}

const FAKE_ARGV0: &str = "/fake/program";
