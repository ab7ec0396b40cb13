//! The verbs of the process driver.

mod look;
mod workload;

use std::{collections::HashMap, os::fd::OwnedFd, sync::Arc, time::Duration};

use async_trait::async_trait;
use futures_util::{StreamExt, stream::BoxStream};
use parking_lot::Mutex;
use reef_driver::{
    BoxIo, Capabilities, DataPolicy, Destroyed, Driver, DriverError, DriverEvent, Fingerprint, LogQuery, LogStream,
    Observed, Reason, SecretFile, Workload,
};
use reef_sandbox::{
    KeeperRequest, RunRecord, ShimSpec,
    cgroup::{Cgroup, Hierarchies},
};
use reef_types::{Enforcement, InstanceId};
use tokio_stream::wrappers::{BroadcastStream, errors::BroadcastStreamRecvError};

use crate::{
    ProcessConfig, files, keeper, launch,
    launch::Output,
    layout::{self, InstanceDir, Layout},
    logs, tree,
    watch::{self, Watch},
};
use look::Look;

/// The name in `spec.driver`.
const KIND: &str = "process";
/// What is reported when even the probe does not run.
const LIMITS: [&str; 8] = ["memory", "cpu", "pids", "filesystem", "disk", "network", "syscalls", "identity"];
/// Between SIGTERM and SIGKILL when an instance is removed.
const DESTROY_GRACE_MS: u64 = 5_000;
/// How long the kernel may take to clear away killed processes.
const KILL_TIMEOUT: Duration = Duration::from_secs(10);

/// Runs instances as sandboxed processes of this machine.
#[derive(Debug)]
pub struct ProcessDriver {
    config: ProcessConfig,
    layout: Arc<Layout>,
    watch: Watch,
    /// One verb at a time that changes an instance; `stop` is not among them, so that a stop can overtake.
    locks: Mutex<HashMap<InstanceId, Arc<tokio::sync::Mutex<()>>>>,
}

impl ProcessDriver {
    /// Touches nothing yet. Instances that run already are found, and watched from then on, when they are observed or
    /// listed.
    pub fn new(config: ProcessConfig) -> Self {
        let layout = Arc::new(Layout::new(config.root.clone()));
        Self { config, layout, watch: Watch::new(), locks: Mutex::default() }
    }

    async fn lock(&self, id: InstanceId) -> tokio::sync::OwnedMutexGuard<()> {
        let lock = self.locks.lock().entry(id).or_default().clone();
        lock.lock_owned().await
    }

    async fn dir(&self, id: InstanceId) -> Result<InstanceDir, DriverError> {
        let layout = self.layout.clone();
        blocking(move || layout.open(id)).await
    }

    async fn look(&self, id: InstanceId) -> Result<Look, DriverError> {
        let dir = self.dir(id).await?;
        let look = {
            let dir = dir.clone();
            blocking(move || Ok(look::look(&dir))).await?
        };
        if let Look::Ending(record) = &look {
            // The program has ended and its shim is writing down how.
            let _ = tokio::time::timeout(KILL_TIMEOUT, watch::wait_for_end(&record.shim)).await;
            return blocking(move || Ok(look::look(&dir))).await;
        }
        if let Look::Running(record) = &look {
            self.watch.found(id, &record.shim);
        }
        Ok(look)
    }

    async fn end(&self, id: InstanceId, record: &RunRecord, grace_ms: u64) -> Result<(), DriverError> {
        let run = self.layout.path(id).join(layout::RUN);
        let asked = keeper::ask(&run, &KeeperRequest::Stop { grace_ms }).await;
        if asked.is_ok() {
            let patience = Duration::from_millis(grace_ms).saturating_add(KILL_TIMEOUT);
            if tokio::time::timeout(patience, watch::wait_for_end(&record.shim)).await.is_ok() {
                return Ok(());
            }
        }
        // The shim is gone or stuck; the first process inside takes everything else with it.
        for process in [&record.init, &record.shim] {
            process.kill().map_err(|err| DriverError::io("cannot kill the instance", &err))?;
            tokio::time::timeout(KILL_TIMEOUT, watch::wait_for_end(process))
                .await
                .map_err(|_| DriverError::new(Reason::Timeout, "a killed process of the instance does not go away"))?;
        }
        Ok(())
    }
}

#[async_trait]
impl Driver for ProcessDriver {
    fn kind(&self) -> &'static str {
        KIND
    }

    async fn fingerprint(&self) -> Result<Fingerprint, DriverError> {
        let (usable, message, limits) = match launch::launch(&self.config.shim, &ShimSpec::Probe, &[], Output::Discard)
            .await
        {
            Ok(mut probe) => {
                let _ = probe.child.wait().await;
                (true, String::new(), probe.record.enforced)
            }
            Err(err) => {
                let limit =
                    |limit: &str| Enforcement { limit: limit.to_owned(), enforced: false, reason: err.message.clone() };
                let advice = "this host must allow user, mount, process and network namespaces (Linux 5.12 or newer; on Ubuntu see the \
                              sysctl kernel.apparmor_restrict_unprivileged_userns)";
                (false, format!("{}; {advice}", err.message), LIMITS.map(limit).to_vec())
            }
        };
        Ok(Fingerprint {
            driver: KIND.to_owned(),
            usable,
            message,
            capabilities: Capabilities { limits, doors: usable },
        })
    }

    async fn prepare(&self, workload: &Workload) -> Result<(), DriverError> {
        let id = workload.id;
        let _held = self.lock(id).await;
        let layout = self.layout.clone();
        let wanted = workload.files.clone();
        blocking(move || {
            let path = layout.path(id);
            let is_new = !path.exists();
            let made = layout
                .create(id)
                .map_err(|err| DriverError::io("cannot make the instance's folders", &err))
                .and_then(|dir| files::write(&dir, &wanted));
            if made.is_err() && is_new {
                tree::remove(&path).map_err(|err| DriverError::io("cannot remove the instance's folders", &err))?;
            }
            made
        })
        .await
    }

    async fn start(&self, workload: &Workload) -> Result<Observed, DriverError> {
        let id = workload.id;
        let _held = self.lock(id).await;
        let look = self.look(id).await?;
        if matches!(look, Look::Running(_)) {
            return Ok(look.observed(id));
        }
        // `destroy` with `Keep` has taken the run folder away.
        let dir = self.layout.clone();
        let dir =
            blocking(move || dir.create(id).map_err(|err| DriverError::io("cannot make the run folder", &err))).await?;
        let spec = workload::instance_spec(&self.config, &dir, workload)?;
        let secrets = workload::secrets(&workload.secrets);
        match launch::launch(&self.config.shim, &ShimSpec::Instance(spec), &secrets, Output::Discard).await {
            Ok(launched) => {
                let (child, record) = launched.disown();
                self.watch.child(id, record.shim.clone(), child);
                self.watch.changed(id);
                Ok(Look::Running(record).observed(id))
            }
            // Another node over the same folders was faster.
            Err(err) if err.reason == Reason::Conflict => match self.look(id).await? {
                look @ Look::Running(_) => Ok(look.observed(id)),
                _ => Err(err),
            },
            Err(err) => {
                self.watch.changed(id);
                Err(err)
            }
        }
    }

    async fn put_secrets(&self, id: InstanceId, secrets: &[SecretFile]) -> Result<(), DriverError> {
        let dir = self.dir(id).await?;
        keeper::ask(&dir.run(), &KeeperRequest::Secrets { secrets: workload::secrets(secrets) }).await.map(drop)
    }

    async fn observe(&self, id: InstanceId) -> Result<Observed, DriverError> {
        let look = self.look(id).await?;
        blocking(move || Ok(look.observed(id))).await
    }

    async fn stop(&self, id: InstanceId, grace_ms: u64) -> Result<(), DriverError> {
        match self.look(id).await {
            Ok(Look::Running(record) | Look::Ending(record)) => self.end(id, &record, grace_ms).await?,
            Ok(_) => return Ok(()),
            Err(err) if err.reason == Reason::NotFound => return Ok(()),
            Err(err) => return Err(err),
        }
        // Once more, to clear away what a killed shim has left.
        self.look(id).await.map(drop)
    }

    async fn destroy(&self, id: InstanceId, data: DataPolicy) -> Result<Destroyed, DriverError> {
        let _held = self.lock(id).await;
        self.stop(id, DESTROY_GRACE_MS).await?;
        let path = self.layout.path(id);
        let destroyed = blocking(move || {
            Cgroup::locate(&Hierarchies::of_this_process(), &id.to_string())
                .remove()
                .map_err(|err| DriverError::io("cannot remove the instance's cgroup", &err))?;
            remove_folders(&path, data)
        })
        .await?;
        self.locks.lock().remove(&id);
        self.watch.changed(id);
        Ok(destroyed)
    }

    async fn inventory(&self) -> Result<Vec<Observed>, DriverError> {
        let layout = self.layout.clone();
        let ids =
            blocking(move || layout.list().map_err(|err| DriverError::io("cannot list the instances", &err))).await?;
        let mut all = Vec::with_capacity(ids.len());
        for id in ids {
            match self.observe(id).await {
                Ok(observed) => all.push(observed),
                Err(err) if err.reason == Reason::NotFound => {}
                Err(err) => return Err(err),
            }
        }
        Ok(all)
    }

    fn events(&self) -> BoxStream<'static, DriverEvent> {
        BroadcastStream::new(self.watch.subscribe())
            .map(|event| match event {
                Ok(event) => event,
                Err(BroadcastStreamRecvError::Lagged(_)) => DriverEvent::Resync,
            })
            .boxed()
    }

    fn logs(&self, id: InstanceId, query: LogQuery) -> LogStream {
        match self.layout.open(id) {
            Ok(dir) => logs::stream(dir.logs(), query),
            Err(err) => futures_util::stream::iter([Err(err)]).boxed(),
        }
    }

    async fn dial(&self, id: InstanceId, port: u16) -> Result<BoxIo, DriverError> {
        let dir = self.dir(id).await?;
        let socket = keeper::ask_for_socket(&dir.run(), &KeeperRequest::Dial { port }).await?;
        let adopt = || {
            let stream = std::net::TcpStream::from(socket);
            stream.set_nonblocking(true)?;
            stream.set_nodelay(true)?;
            tokio::net::TcpStream::from_std(stream)
        };
        let stream = adopt().map_err(|err| DriverError::io("cannot use the connection", &err))?;
        Ok(Box::new(stream))
    }

    async fn dial_socket(&self, id: InstanceId, port: u16) -> Result<Option<OwnedFd>, DriverError> {
        let dir = self.dir(id).await?;
        keeper::ask_for_socket(&dir.run(), &KeeperRequest::Dial { port }).await.map(Some)
    }

    async fn door(&self, id: InstanceId, port: u16) -> Result<OwnedFd, DriverError> {
        let dir = self.dir(id).await?;
        keeper::ask_for_socket(&dir.run(), &KeeperRequest::Door { port }).await
    }
}

/// Removes what the policy says, the record of the uid last: until then, nobody else gets it.
fn remove_folders(path: &std::path::Path, data: DataPolicy) -> Result<Destroyed, DriverError> {
    let mut destroyed = Destroyed::default();
    let mut names: Vec<&str> = layout::DATA.iter().map(|(name, _)| *name).collect();
    names.push(layout::LOGS);
    let (remove, keep): (Vec<&str>, Vec<&str>) = match data {
        DataPolicy::Keep => (vec![layout::RUN], names),
        DataPolicy::Delete => {
            names.push(layout::RUN);
            (names, Vec::new())
        }
    };
    for name in remove {
        let target = path.join(name);
        if target.symlink_metadata().is_ok() {
            tree::remove(&target)
                .map_err(|err| DriverError::io(&format!("cannot remove the folder `{name}`"), &err))?;
            destroyed.removed.push(name.to_owned());
        }
    }
    destroyed.kept = keep.into_iter().filter(|name| path.join(name).exists()).map(str::to_owned).collect();
    if data == DataPolicy::Delete {
        tree::remove(path).map_err(|err| DriverError::io("cannot remove the instance's folder", &err))?;
    }
    Ok(destroyed)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, DriverError> + Send + 'static,
) -> Result<T, DriverError> {
    tokio::task::spawn_blocking(work).await.map_err(|err| DriverError::new(Reason::Internal, err.to_string()))?
}
