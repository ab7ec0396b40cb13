//! Running npm for one exact version of one package, and reading what it says.

use std::time::Duration;

use reef_driver::Task;

use super::task;

/// The longest that an installation by npm may take.
pub(super) const NPM_TIME_MAX: Duration = Duration::from_secs(20 * 60);

/// The end of npm's complaints that is kept for messages, in lines.
const COMPLAINTS_MAX: usize = 8;

/// The installation of one package into the staging folder. No script of any package is run.
pub(super) fn install_task(package: &str, version: &str, node: &str) -> Task {
    let dir = task::node_dir(node);
    let argv = [
        &format!("{dir}/bin/node"),
        &format!("{dir}/lib/node_modules/npm/bin/npm-cli.js"),
        "install",
        &format!("{package}@{version}"),
        "--prefix",
        task::STAGING,
        "--cache",
        task::CACHE,
        // No file of the host's is read; our npmrc says all that matters of them.
        "--globalconfig",
        "/dev/null",
        "--save-exact",
        "--omit=dev",
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
        "--no-update-notifier",
        "--no-progress",
        // One line for each fetch.
        "--loglevel=http",
        "--logs-max=0",
    ];
    Task {
        argv: argv.map(str::to_owned).to_vec(),
        env: task::environment(&format!("{dir}/bin")),
        cwd: task::STAGING.to_owned(),
        mounts: Vec::new(),
    }
}

/// Reads npm's output line by line.
#[derive(Debug, Default)]
pub(super) struct NpmOutput {
    packages: u64,
    complaints: Vec<String>,
}

impl NpmOutput {
    /// Takes one line. Returns the number of packages so far when the line adds one.
    pub(super) fn line(&mut self, line: &str) -> Option<u64> {
        let line = line.trim();
        // Written once for each package, whether it comes from the network or from the cache.
        if let Some(fetched) = line.strip_prefix("npm http cache ") {
            self.packages += u64::from(fetched.contains("@http") || fetched.contains(".tgz"));
            return Some(self.packages);
        }
        if let Some(complaint) = line.strip_prefix("npm error ") {
            if self.complaints.len() == COMPLAINTS_MAX {
                self.complaints.remove(0);
            }
            self.complaints.push(complaint.to_owned());
        }
        None
    }

    /// npm's error code (`E404`, `ENOTFOUND`, …), when it gave one.
    pub(super) fn code(&self) -> Option<&str> {
        self.complaints.iter().find_map(|line| line.strip_prefix("code "))
    }

    /// What npm complained about, in one line.
    pub(super) fn complaints(&self) -> String {
        let plain = self.complaints.iter().map(String::as_str);
        let told = plain.filter(|line| !line.starts_with("code ") && !line.contains("complete log of this run"));
        told.collect::<Vec<_>>().join("; ")
    }
}

/// Whether npm failed because of the network or the registry, by its error code.
pub(super) fn is_network(code: &str) -> bool {
    const CODES: [&str; 13] = [
        "EAI_AGAIN",
        "ECONNREFUSED",
        "ECONNRESET",
        "EHOSTUNREACH",
        "EIDLETIMEOUT",
        "ENETUNREACH",
        "ENOTFOUND",
        "EPIPE",
        "ERR_SOCKET_TIMEOUT",
        "ETIMEDOUT",
        "FETCH_ERROR",
        "SELF_SIGNED_CERT_IN_CHAIN",
        "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
    ];
    CODES.contains(&code) || code.strip_prefix("E5").is_some_and(|rest| rest.len() == 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output() {
        let mut output = NpmOutput::default();
        let lines = [
            ("npm http fetch GET 200 https://r.example/openclaw 201ms (cache miss)", None),
            ("npm http cache openclaw@https://r.example/openclaw/-/openclaw-2026.9.6.tgz 0ms (cache hit)", Some(1)),
            ("npm http fetch GET 200 https://r.example/openclaw/-/openclaw-2026.9.6.tgz 5556ms (cache miss)", None),
            ("npm http cache ms@https://r.example/ms/-/ms-2.1.3.tgz 0ms (cache hit)", Some(2)),
            ("npm error code ENOTFOUND", None),
            ("npm error network request to https://r.example/x failed", None),
            ("npm error A complete log of this run can be found in: /x", None),
        ];
        for (line, expected) in lines {
            assert_eq!(output.line(line), expected, "{line}");
        }
        assert_eq!(output.code(), Some("ENOTFOUND"));
        assert_eq!(output.complaints(), "network request to https://r.example/x failed");
        assert!(is_network("ENOTFOUND") && is_network("E503") && !is_network("E404") && !is_network("ERESOLVE"));
    }

    #[test]
    fn complaints_are_bounded_but_the_code_is_not_lost() {
        let mut output = NpmOutput::default();
        for number in 0..100 {
            output.line(&format!("npm error {number}"));
        }
        assert_eq!(output.complaints().split("; ").count(), COMPLAINTS_MAX);
    }
}
