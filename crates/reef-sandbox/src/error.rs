//! Which step of putting up a sandbox failed, and why.

use std::{fmt, io, path::Path};

use serde::{Deserialize, Serialize};

macro_rules! steps {
    ($($name:ident = $text:literal,)*) => {
        /// The steps of putting up a sandbox, in order.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Step {
            $(#[doc = $text] $name,)*
        }

        impl fmt::Display for Step {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Step::$name => $text,)* })
            }
        }
    };
}

steps! {
    ReadSpec = "read the specification",
    LeaveParent = "leave the parent's session",
    Lock = "lock the run folder",
    OpenLog = "open the log",
    MakeUserNamespace = "make a user namespace",
    MapIdentity = "map the identity",
    MakeNetwork = "make the network namespace",
    BindDoor = "listen at a door",
    ListenForHub = "listen for the hub",
    Fork = "start the first process",
    MakeNamespaces = "make the namespaces",
    CloneMounts = "open what is to be mounted",
    BuildRoot = "build the root file system",
    MountProc = "mount /proc",
    MountDevices = "mount /dev",
    SwitchRoot = "switch to the new root",
    PutSecrets = "put the secrets in place",
    SetHostName = "set the host name",
    TakeIdentity = "take the unprivileged identity",
    SetLimits = "set the resource limits",
    DropCapabilities = "drop the capabilities",
    RestrictFiles = "restrict file access",
    FilterSyscalls = "filter system calls",
    Execute = "execute the program",
    Supervise = "watch over the first process",
}

/// A failed step. The text goes to the operator; it names files of the host but never a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("cannot {step}: {detail}")]
pub struct SetupError {
    pub step: Step,
    pub detail: String,
    /// The system's error number, when there is one.
    pub os_error: Option<i32>,
}

impl SetupError {
    /// A failure that did not come from the system.
    pub fn new(step: Step, detail: impl Into<String>) -> Self {
        Self { step, detail: detail.into(), os_error: None }
    }
}

/// Names the step at the place where an error happens.
pub(crate) trait At<T> {
    fn at(self, step: Step) -> Result<T, SetupError>;
    fn at_path(self, step: Step, path: impl AsRef<Path>) -> Result<T, SetupError>;
}

impl<T, E: Into<io::Error>> At<T> for Result<T, E> {
    fn at(self, step: Step) -> Result<T, SetupError> {
        self.map_err(|err| {
            let err = err.into();
            SetupError { step, detail: err.to_string(), os_error: err.raw_os_error() }
        })
    }

    fn at_path(self, step: Step, path: impl AsRef<Path>) -> Result<T, SetupError> {
        self.map_err(|err| {
            let err = err.into();
            SetupError { step, detail: format!("{}: {err}", path.as_ref().display()), os_error: err.raw_os_error() }
        })
    }
}
