//! A driver without a machine: instances are entries of a map, their programs are acted out by tasks, their connections
//! are real loopback sockets.

use std::{
    collections::btree_map::Entry,
    fmt,
    net::{SocketAddr, TcpListener},
    os::fd::OwnedFd,
    sync::Arc,
};

use async_trait::async_trait;
use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};
use reef_types::InstanceId;
use tokio::{net::TcpStream, sync::broadcast::error::RecvError, task::JoinSet, time::Duration};

use super::{
    Program, fake_program,
    fake_world::{Call, Failure, Instance, Verb, World, limits, write_files},
};
use crate::{
    BoxIo, Capabilities, DataPolicy, Destroyed, Driver, DriverError, DriverEvent, Exit, Fingerprint, LogQuery,
    LogStream, Observed, ProcessState, Reason, SecretFile, Workload,
};

const FIRST_PID: u32 = 1000;

/// The fake. Clones and [`FakeDriver::recreated`] share one world, as two runs of a real driver share one machine.
#[derive(Clone)]
pub struct FakeDriver {
    pub(super) world: Arc<World>,
    kind: &'static str,
    hands_over: bool,
}

impl fmt::Debug for FakeDriver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeDriver").field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl Default for FakeDriver {
    fn default() -> Self {
        Self::new("fake")
    }
}

impl FakeDriver {
    /// A driver of this name with an empty world.
    pub fn new(kind: &'static str) -> Self {
        Self { world: Arc::new(World::new()), kind, hands_over: true }
    }

    /// Like a driver whose connections are not sockets: they can be used but not handed over.
    #[must_use]
    pub fn without_sockets(self) -> Self {
        Self { hands_over: false, ..self }
    }

    /// Another driver over the same world: what a restart of the node makes.
    pub fn recreated(&self) -> Self {
        self.clone()
    }

    /// From now on this goes wrong.
    pub fn fail(&self, failure: Failure) {
        self.world.state.lock().failures.push((failure, None));
    }

    /// The next `times` times this goes wrong.
    pub fn fail_times(&self, failure: Failure, times: u32) {
        self.world.state.lock().failures.push((failure, Some(times)));
    }

    /// Nothing goes wrong any more.
    pub fn heal(&self) {
        self.world.state.lock().failures.clear();
    }

    /// Dialling `port` of one instance, or of any without its own route, connects to `to`.
    pub fn route(&self, id: Option<InstanceId>, port: u16, to: SocketAddr) {
        self.world.state.lock().routes.insert((id, port), to);
    }

    /// The program of an instance ends by itself.
    pub fn end(&self, id: InstanceId, exit: Exit) {
        self.world.end(id, exit);
    }

    /// An instance writes a line to standard output.
    pub fn print(&self, id: InstanceId, text: &str) {
        self.world.print(id, text);
    }

    /// An event that no change belongs to.
    pub fn send_event(&self, event: DriverEvent) {
        self.world.send(event);
    }

    /// All calls since the beginning, oldest first.
    pub fn calls(&self) -> Vec<Call> {
        self.world.state.lock().calls.clone()
    }

    /// Content of an instance's file, kept ones included.
    pub fn file(&self, id: InstanceId, path: &str) -> Option<String> {
        let state = self.world.state.lock();
        let files = state.instances.get(&id).map(|instance| &instance.files).or_else(|| state.kept.get(&id))?;
        files.get(path).cloned()
    }

    /// The secret files that an instance has now.
    pub fn secrets(&self, id: InstanceId) -> Vec<SecretFile> {
        self.world.state.lock().instances.get(&id).map(|instance| instance.secrets.clone()).unwrap_or_default()
    }

    async fn connect(&self, id: InstanceId, port: u16) -> Result<TcpStream, DriverError> {
        self.enter(Verb::Dial, Some(id)).await?;
        let silent = || DriverError::new(Reason::Unavailable, format!("nothing listens at port {port} of {id}"));
        if self.world.take(|failure| *failure == Failure::NeverReady).is_some() {
            return Err(silent());
        }
        let to = {
            let state = self.world.state.lock();
            match state.instances.get(&id).map(|instance| &instance.process) {
                Some(ProcessState::Running { .. }) => {}
                _ => return Err(DriverError::new(Reason::NotFound, format!("instance {id} does not run"))),
            }
            let route = state.routes.get(&(Some(id), port)).or_else(|| state.routes.get(&(None, port)));
            *route.ok_or_else(silent)?
        };
        TcpStream::connect(to).await.map_err(|_| silent())
    }

    async fn enter(&self, verb: Verb, id: Option<InstanceId>) -> Result<(), DriverError> {
        self.world.state.lock().calls.push(Call { verb, id });
        let failure = self.world.take(|failure| match failure {
            Failure::Refuse { verb: v, .. } | Failure::Hang { verb: v } => *v == verb,
            _ => false,
        });
        match failure {
            Some(Failure::Refuse { error, .. }) => Err(error),
            Some(Failure::Hang { .. }) => std::future::pending().await,
            _ => Ok(()),
        }
    }
}

fn unknown(id: InstanceId) -> DriverError {
    DriverError::new(Reason::NotFound, format!("there is no instance {id}"))
}

#[async_trait]
impl Driver for FakeDriver {
    fn kind(&self) -> &'static str {
        self.kind
    }

    async fn fingerprint(&self) -> Result<Fingerprint, DriverError> {
        self.enter(Verb::Fingerprint, None).await?;
        let broken = self.world.take(|failure| matches!(failure, Failure::Unusable { .. }));
        let message = match &broken {
            Some(Failure::Unusable { message }) => message.clone(),
            _ => "ready".to_owned(),
        };
        let capabilities = Capabilities { limits: limits(), doors: true };
        Ok(Fingerprint { driver: self.kind.to_owned(), usable: broken.is_none(), message, capabilities })
    }

    async fn prepare(&self, workload: &Workload) -> Result<(), DriverError> {
        self.enter(Verb::Prepare, Some(workload.id)).await?;
        let mut guard = self.world.state.lock();
        let state = &mut *guard;
        if let Some(instance) = state.instances.get_mut(&workload.id) {
            write_files(&mut instance.files, &workload.files);
            return Ok(());
        }
        let mut files = state.kept.remove(&workload.id).unwrap_or_default();
        write_files(&mut files, &workload.files);
        state.instances.insert(workload.id, Instance::with_files(files));
        Ok(())
    }

    async fn start(&self, workload: &Workload) -> Result<Observed, DriverError> {
        let id = workload.id;
        self.enter(Verb::Start, Some(id)).await?;
        let seen = {
            let mut guard = self.world.state.lock();
            let state = &mut *guard;
            let instance = state.instances.get_mut(&id).ok_or_else(|| unknown(id))?;
            if instance.is_running() {
                return Ok(instance.observed(id));
            }
            for &port in &workload.doors {
                if let Entry::Vacant(door) = instance.doors.entry(port) {
                    let listener = TcpListener::bind("127.0.0.1:0");
                    door.insert(listener.map_err(|err| DriverError::io("cannot open a door", &err))?);
                }
            }
            state.started += 1;
            instance.process = ProcessState::Running { pid: FIRST_PID + state.started };
            instance.generation = workload.generation;
            instance.secrets.clone_from(&workload.secrets);
            instance.program = Program::from_fake_argv(&workload.argv);
            instance.acts = JoinSet::new();
            let act = fake_program::act(Arc::downgrade(&self.world), id, instance.program.clone());
            instance.acts.spawn(act);
            instance.observed(id)
        };
        self.world.send(DriverEvent::Changed { id });
        if let Some(Failure::ExitAtOnce { exit }) = self.world.take(|f| matches!(f, Failure::ExitAtOnce { .. })) {
            self.world.end(id, exit);
        }
        Ok(seen)
    }

    async fn put_secrets(&self, id: InstanceId, secrets: &[SecretFile]) -> Result<(), DriverError> {
        self.enter(Verb::PutSecrets, Some(id)).await?;
        let mut state = self.world.state.lock();
        let instance = state.instances.get_mut(&id).ok_or_else(|| unknown(id))?;
        instance.secrets = secrets.to_vec();
        Ok(())
    }

    async fn observe(&self, id: InstanceId) -> Result<Observed, DriverError> {
        self.enter(Verb::Observe, Some(id)).await?;
        let state = self.world.state.lock();
        state.instances.get(&id).map(|instance| instance.observed(id)).ok_or_else(|| unknown(id))
    }

    async fn stop(&self, id: InstanceId, grace_ms: u64) -> Result<(), DriverError> {
        self.enter(Verb::Stop, Some(id)).await?;
        let program = {
            let state = self.world.state.lock();
            let instance = state.instances.get(&id).ok_or_else(|| unknown(id))?;
            match instance.process {
                ProcessState::Running { .. } => instance.program.clone(),
                ProcessState::Absent | ProcessState::Exited { .. } => return Ok(()),
            }
        };
        let mut exit = Exit { code: Some(0), signal: None, out_of_memory: false, setup_error: None };
        if program == Program::Stubborn {
            tokio::time::sleep(Duration::from_millis(grace_ms)).await;
            exit = Exit { code: None, signal: Some(9), ..exit };
        }
        self.world.end(id, exit);
        Ok(())
    }

    async fn destroy(&self, id: InstanceId, data: DataPolicy) -> Result<Destroyed, DriverError> {
        self.enter(Verb::Destroy, Some(id)).await?;
        let mut destroyed = Destroyed::default();
        {
            let mut guard = self.world.state.lock();
            let state = &mut *guard;
            if let Some(instance) = state.instances.remove(&id) {
                destroyed.removed.push("instance".to_owned());
                state.kept.insert(id, instance.files);
            } else if !state.kept.contains_key(&id) {
                return Err(unknown(id));
            }
            match data {
                DataPolicy::Keep => destroyed.kept.push("files".to_owned()),
                DataPolicy::Delete => {
                    state.kept.remove(&id);
                    destroyed.removed.push("files".to_owned());
                }
            }
            state.routes.retain(|(owner, _), _| *owner != Some(id));
        }
        self.world.send(DriverEvent::Changed { id });
        Ok(destroyed)
    }

    async fn inventory(&self) -> Result<Vec<Observed>, DriverError> {
        self.enter(Verb::Inventory, None).await?;
        let state = self.world.state.lock();
        Ok(state.instances.iter().map(|(id, instance)| instance.observed(*id)).collect())
    }

    fn events(&self) -> BoxStream<'static, DriverEvent> {
        stream::unfold(self.world.events.subscribe(), |mut events| async move {
            match events.recv().await {
                Ok(event) => Some((event, events)),
                Err(RecvError::Lagged(_)) => Some((DriverEvent::Resync, events)),
                Err(RecvError::Closed) => std::future::pending().await,
            }
        })
        .boxed()
    }

    fn logs(&self, id: InstanceId, query: LogQuery) -> LogStream {
        let state = self.world.state.lock();
        let Some(instance) = state.instances.get(&id) else {
            return stream::iter([Err(unknown(id))]).boxed();
        };
        let skip = instance.lines.len().saturating_sub(query.tail);
        let tail: Vec<_> = instance.lines.iter().skip(skip).cloned().map(Ok).collect();
        let tail = stream::iter(tail);
        if !query.follow {
            return tail.boxed();
        }
        let new = stream::unfold(self.world.lines.subscribe(), move |mut lines| async move {
            loop {
                match lines.recv().await {
                    Ok((from, line)) if from == id => return Some((Ok(line), lines)),
                    Ok(_) | Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return None,
                }
            }
        });
        tail.chain(new).boxed()
    }

    async fn dial(&self, id: InstanceId, port: u16) -> Result<BoxIo, DriverError> {
        Ok(Box::new(self.connect(id, port).await?))
    }

    async fn dial_socket(&self, id: InstanceId, port: u16) -> Result<Option<OwnedFd>, DriverError> {
        if !self.hands_over {
            return Ok(None);
        }
        let stream = self.connect(id, port).await?.into_std();
        stream.map(|stream| Some(stream.into())).map_err(|err| DriverError::io("cannot hand a connection over", &err))
    }

    async fn door(&self, id: InstanceId, port: u16) -> Result<OwnedFd, DriverError> {
        self.enter(Verb::Door, Some(id)).await?;
        let state = self.world.state.lock();
        let instance = state.instances.get(&id).ok_or_else(|| unknown(id))?;
        let door = instance
            .doors
            .get(&port)
            .ok_or_else(|| DriverError::new(Reason::NotFound, format!("instance {id} has no door at port {port}")))?;
        door.try_clone().map(OwnedFd::from).map_err(|err| DriverError::io("cannot hand a door over", &err))
    }
}
