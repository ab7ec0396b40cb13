//! Where the own cgroups are, per controller: `/proc/self/cgroup` read against `/proc/self/mountinfo`.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::Controller;

/// When the own version 2 cgroup has this name, sandboxes go beside it: a cgroup with processes cannot have children
/// with controllers (cgroup-v2.rst, "No Internal Process Constraint").
pub(super) const SUPERVISOR: &str = "supervisor";

/// Which of the kernel's two interfaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Version {
    V1,
    V2,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Version::V1 => "v1",
            Version::V2 => "v2",
        })
    }
}

/// One folder of one hierarchy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    pub version: Version,
    pub dir: PathBuf,
}

/// The own place in each hierarchy of this host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hierarchies {
    v1: Vec<(String, PathBuf)>,
    v2: Option<PathBuf>,
    v2_controllers: Vec<String>,
}

impl Hierarchies {
    /// Reads where this process is.
    pub fn of_this_process() -> Self {
        let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let mut found = Self::parse(&own, &mounts);
        if let Some(dir) = &found.v2 {
            let text = fs::read_to_string(dir.join("cgroup.controllers")).unwrap_or_default();
            found.v2_controllers = text.split_ascii_whitespace().map(str::to_owned).collect();
        }
        found
    }

    /// The version 2 folder, whatever controllers it has.
    pub(super) fn unified(&self) -> Option<&Path> {
        self.v2.as_deref()
    }

    /// Below which folder a limit can be set.
    ///
    /// # Errors
    /// The reason why there is none, for people.
    pub(super) fn base(&self, controller: Controller) -> Result<Place, String> {
        let name = controller.as_str();
        if let Some((_, dir)) = self.v1.iter().find(|(c, _)| c == name) {
            return Ok(Place { version: Version::V1, dir: dir.clone() });
        }
        match &self.v2 {
            Some(dir) if self.v2_controllers.iter().any(|c| c == name) => {
                Ok(Place { version: Version::V2, dir: dir.clone() })
            }
            None if self.v1.is_empty() => Err("no cgroup file system is mounted".to_owned()),
            _ => Err(format!("the controller `{name}` is not available here")),
        }
    }

    #[cfg(test)]
    pub(super) fn with_v2_controllers(mut self, names: &[&str]) -> Self {
        self.v2_controllers = names.iter().map(|name| (*name).to_owned()).collect();
        self
    }

    pub(super) fn parse(own: &str, mountinfo: &str) -> Self {
        let mut found = Self::default();
        for mount in mountinfo.lines().filter_map(parse_mount) {
            for line in own.lines() {
                // hierarchy-id:controllers:path
                let mut parts = line.splitn(3, ':');
                let (Some(id), Some(controllers), Some(path)) = (parts.next(), parts.next(), parts.next()) else {
                    continue;
                };
                // A container sees only a part of the tree: `root` is where its mount begins.
                let Ok(below) = Path::new(path).strip_prefix(mount.root) else { continue };
                let dir = if below.as_os_str().is_empty() {
                    PathBuf::from(mount.point)
                } else {
                    Path::new(mount.point).join(below)
                };
                if id == "0" && mount.fs == "cgroup2" {
                    found.v2 = Some(match dir.file_name() {
                        Some(name) if name == SUPERVISOR => dir.parent().map_or(dir.clone(), Path::to_path_buf),
                        _ => dir,
                    });
                } else if mount.fs == "cgroup" {
                    for controller in controllers.split(',').filter(|c| !c.is_empty()) {
                        if mount.options.split(',').any(|option| option == controller) {
                            found.v1.push((controller.to_owned(), dir.clone()));
                        }
                    }
                }
            }
        }
        found
    }
}

struct MountLine<'a> {
    root: &'a str,
    point: &'a str,
    fs: &'a str,
    options: &'a str,
}

/// See proc_pid_mountinfo(5): `id parent major:minor root point options [optional…] - fs source super-options`.
fn parse_mount(line: &str) -> Option<MountLine<'_>> {
    let (left, right) = line.split_once(" - ")?;
    let mut left = left.split(' ').skip(3);
    let mut right = right.split(' ');
    let (root, point) = (left.next()?, left.next()?);
    let fs = right.next()?;
    Some(MountLine { root, point, fs, options: right.nth(1)? })
}
