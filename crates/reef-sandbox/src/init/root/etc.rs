//! The small `/etc` of a sandbox: written by us, but for what programs need to find libraries, certificates and the time.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::Path,
};

use crate::{init::Kind, spec::AGENT_UID};

/// Folders that are the host's, read-only. Never one with private keys.
pub(super) const FOLDERS: &[&str] =
    &["alternatives", "ca-certificates", "ld.so.conf.d", "pki/ca-trust", "pki/tls/certs", "ssl/certs"];

/// Files that are copies of the host's.
const COPIED: &[&str] = &[
    "ld.so.cache",
    "ld.so.conf",
    "localtime",
    "timezone",
    "mime.types",
    "protocols",
    "services",
    "os-release",
    "ssl/openssl.cnf",
    "ssl/cert.pem",
    "pki/tls/openssl.cnf",
];
/// Further copies where the sandbox shares the host's network.
const COPIED_NETWORK: &[&str] = &["resolv.conf", "hosts", "nsswitch.conf", "gai.conf", "host.conf"];
/// No file of these is larger, in bytes; a larger one is left out.
const COPY_BYTES_MAX: u64 = 1 << 20;

/// Names and contents.
pub(super) struct Etc(Vec<(String, Vec<u8>)>);

impl Etc {
    /// Reads what is the host's and writes down what is not.
    pub(super) fn read(hostname: &str, kind: Kind) -> Self {
        let own = |name: &str, text: String| (name.to_owned(), text.into_bytes());
        let mut files = vec![
            own(
                "passwd",
                format!(
                    "root:x:0:0:root:/:/bin/false\nagent:x:{AGENT_UID}:{AGENT_UID}:Agent:/home/agent:/bin/sh\n\
                     nobody:x:65534:65534:nobody:/:/bin/false\n"
                ),
            ),
            own("group", format!("root:x:0:\nagent:x:{AGENT_UID}:\nnogroup:x:65534:\n")),
            own("hostname", format!("{hostname}\n")),
        ];
        if kind == Kind::Task {
            files.extend(COPIED_NETWORK.iter().filter_map(|name| copy(name)));
        } else {
            files.push(own("hosts", format!("127.0.0.1 localhost {hostname}\n::1 localhost\n")));
            files.push(own("nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\n".to_owned()));
        }
        files.extend(COPIED.iter().filter_map(|name| copy(name)));
        Self(files)
    }

    pub(super) fn write(&self, dir: &Path) -> io::Result<()> {
        for (name, content) in &self.0 {
            let path = dir.join(name);
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent)?;
            }
            fs::write(path, content)?;
        }
        Ok(())
    }
}

fn copy(name: &str) -> Option<(String, Vec<u8>)> {
    let file = File::open(Path::new("/etc").join(name)).ok()?;
    let meta = file.metadata().ok()?;
    if !meta.is_file() || meta.len() > COPY_BYTES_MAX {
        return None;
    }
    let mut content = Vec::new();
    file.take(COPY_BYTES_MAX).read_to_end(&mut content).ok()?;
    Some((name.to_owned(), content))
}
