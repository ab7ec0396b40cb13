//! What a driver is asked to run: rendered by an agent kind, free of any knowledge about it.

use std::{collections::BTreeMap, fmt};

use reef_types::{Egress, InstanceId, InstanceName, Resources};
use serde::{Deserialize, Serialize};

/// Where things are inside every sandbox, whatever the driver.
pub mod sandbox_paths {
    /// The agent's own state; writable, kept until the instance's data is deleted.
    pub const STATE: &str = "/reef/state";
    /// The agent's workspace; writable, kept.
    pub const WORKSPACE: &str = "/reef/workspace";
    /// Home folder of the agent's user; writable, kept.
    pub const HOME: &str = "/home/agent";
    /// Writable, gone at every start.
    pub const TMP: &str = "/tmp";
    /// Versions are mounted read-only at `/reef/versions/<kind>/<version>`.
    pub const VERSIONS: &str = "/reef/versions";
    /// Secret files, in memory only, readable by the agent's user.
    pub const SECRETS: &str = "/run/reef";
    /// uid and gid of the agent inside the sandbox.
    pub const UID: u32 = 1000;
}

/// A file that is put into the instance's folders before it starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkloadFile {
    /// Absolute path inside the sandbox, below `STATE`, `WORKSPACE` or `HOME`; no `..`.
    pub path: String,
    pub content: String,
    /// False: only when the file is not there yet.
    pub overwrite: bool,
}

/// A secret that is put into `SECRETS` for as long as it is needed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretFile {
    /// A plain file name.
    pub name: String,
    pub value: String,
    /// Taken away once the agent is ready, put back while it is not: the agent's tools shall not find it lying about.
    pub start_only: bool,
}

impl fmt::Debug for SecretFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretFile").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Everything a driver needs to run one instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Workload {
    pub id: InstanceId,
    pub name: InstanceName,
    pub generation: u64,
    /// Program (absolute, inside the sandbox) and arguments. Never a secret: argv is public.
    pub argv: Vec<String>,
    /// The complete environment; nothing is inherited. Never a secret: the agent's tools inherit it.
    pub env: BTreeMap<String, String>,
    pub cwd: String,
    /// `(kind, version)` pairs of the version store to mount read-only.
    pub versions: Vec<(String, String)>,
    pub files: Vec<WorkloadFile>,
    /// Put in place before the start; see [`crate::Driver::put_secrets`].
    pub secrets: Vec<SecretFile>,
    pub resources: Resources,
    pub egress: Egress,
    /// Ports on the instance's loopback where the node listens on behalf of the hub (broker, egress proxy). They are
    /// bound before the program starts.
    pub doors: Vec<u16>,
}
