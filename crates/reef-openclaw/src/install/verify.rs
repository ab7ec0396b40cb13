//! Checking what npm made: that it is the version asked for, and that every file came with a promised digest.

use std::{collections::BTreeMap, fs, path::Path};

use serde::{Deserialize, de::DeserializeOwned};

use crate::registry::{RegistryError, Tarball};

#[derive(Deserialize)]
struct Lock {
    packages: BTreeMap<String, Locked>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Locked {
    version: Option<String>,
    integrity: Option<String>,
    /// Came inside the file of another package, whose digest covers it.
    #[serde(default)]
    in_bundle: bool,
}

#[derive(Deserialize)]
struct Manifest {
    version: String,
}

/// Compares an installation with what the registry says about its main package. Blocks.
///
/// # Errors
/// `Integrity` with what differs.
pub(super) fn verify(staging: &Path, package: &str, version: &str, promised: &Tarball) -> Result<(), RegistryError> {
    let wrong = |problem: String| RegistryError::integrity(&promised.name, problem);
    let modules = staging.join("node_modules");
    let lock: Lock = read_json(&modules.join(".package-lock.json"), promised)?;
    let main = format!("node_modules/{package}");
    for (place, locked) in &lock.packages {
        if locked.integrity.is_none() && !locked.in_bundle {
            return Err(wrong(format!("{place} was installed without a digest to check it by")));
        }
    }
    let locked = lock.packages.get(&main).ok_or_else(|| wrong("npm did not install it".to_owned()))?;
    // Without a SHA-512 from the registry npm has none to record either.
    if !promised.sri.is_empty() && locked.integrity.as_deref() != Some(promised.sri.as_str()) {
        return Err(wrong("npm installed a file with another digest".to_owned()));
    }
    let manifest: Manifest = read_json(&staging.join(&main).join("package.json"), promised)?;
    if locked.version.as_deref() != Some(version) || manifest.version != version {
        return Err(wrong(format!("npm installed version {}", manifest.version)));
    }
    Ok(())
}

fn read_json<T: DeserializeOwned>(path: &Path, promised: &Tarball) -> Result<T, RegistryError> {
    let name = path.file_name().unwrap_or_default().display();
    let text = fs::read(path).map_err(RegistryError::io(format!("{name} of {} cannot be read", promised.name)))?;
    let unreadable = |_| RegistryError::integrity(&promised.name, format!("its {name} cannot be understood"));
    serde_json::from_slice(&text).map_err(unreadable)
}
