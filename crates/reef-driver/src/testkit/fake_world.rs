//! What the fake's machine is: instances, what they printed, and the bad days in store for them.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    net::{SocketAddr, TcpListener},
};

use parking_lot::Mutex;
use reef_types::{Enforcement, InstanceId};
use tokio::{sync::broadcast, task::JoinSet};

use super::Program;
use crate::{DriverError, DriverEvent, Exit, LogLine, Observed, ProcessState, SecretFile, Usage, WorkloadFile};

const EVENTS_MAX: usize = 256;
const LOG_LINES_MAX: usize = 1000;

/// The verbs that can be made to fail and that are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verb {
    Fingerprint,
    Prepare,
    Start,
    PutSecrets,
    Observe,
    Stop,
    Destroy,
    Inventory,
    Dial,
    Door,
}

/// A bad day. Each is in force until it is taken back or used up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The verb answers with this and does nothing.
    Refuse { verb: Verb, error: DriverError },
    /// The verb never answers.
    Hang { verb: Verb },
    /// The driver is not usable on this host.
    Unusable { message: String },
    /// Programs end as soon as they are started.
    ExitAtOnce { exit: Exit },
    /// Programs run, but nothing inside answers.
    NeverReady,
}

/// A verb that was called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call {
    pub verb: Verb,
    pub id: Option<InstanceId>,
}

pub(super) struct World {
    pub(super) state: Mutex<State>,
    pub(super) events: broadcast::Sender<DriverEvent>,
    pub(super) lines: broadcast::Sender<(InstanceId, LogLine)>,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) instances: BTreeMap<InstanceId, Instance>,
    /// Files of instances that were destroyed with `Keep`.
    pub(super) kept: BTreeMap<InstanceId, BTreeMap<String, String>>,
    /// With how often each is still to happen; none means always.
    pub(super) failures: Vec<(Failure, Option<u32>)>,
    pub(super) calls: Vec<Call>,
    pub(super) routes: HashMap<(Option<InstanceId>, u16), SocketAddr>,
    pub(super) started: u32,
}

pub(super) struct Instance {
    pub(super) generation: u64,
    pub(super) process: ProcessState,
    pub(super) program: Program,
    pub(super) files: BTreeMap<String, String>,
    pub(super) secrets: Vec<SecretFile>,
    pub(super) doors: BTreeMap<u16, TcpListener>,
    pub(super) lines: VecDeque<LogLine>,
    /// What the program does; ends with it.
    pub(super) acts: JoinSet<()>,
}

impl World {
    pub(super) fn new() -> Self {
        Self {
            state: Mutex::default(),
            events: broadcast::channel(EVENTS_MAX).0,
            lines: broadcast::channel(LOG_LINES_MAX).0,
        }
    }

    /// A failure that is in force and wanted; uses it up once.
    pub(super) fn take(&self, wanted: impl Fn(&Failure) -> bool) -> Option<Failure> {
        let mut state = self.state.lock();
        let at = state.failures.iter().position(|(failure, _)| wanted(failure))?;
        match &mut state.failures[at].1 {
            Some(1) => return Some(state.failures.remove(at).0),
            Some(left) => *left -= 1,
            None => {}
        }
        Some(state.failures[at].0.clone())
    }

    pub(super) fn send(&self, event: DriverEvent) {
        // Nobody has to listen.
        let _ = self.events.send(event);
    }

    pub(super) fn end(&self, id: InstanceId, exit: Exit) {
        {
            let mut state = self.state.lock();
            let Some(instance) = state.instances.get_mut(&id) else { return };
            if !matches!(instance.process, ProcessState::Running { .. }) {
                return;
            }
            instance.process = ProcessState::Exited { exit };
            instance.acts.abort_all();
        }
        self.send(DriverEvent::Changed { id });
    }

    pub(super) fn print(&self, id: InstanceId, text: &str) {
        // A fixed time: nothing that the fake promises depends on it.
        let line =
            LogLine { at: "2026-01-01T00:00:00Z".to_owned(), stream: "stdout".to_owned(), text: text.to_owned() };
        let mut state = self.state.lock();
        let Some(instance) = state.instances.get_mut(&id) else { return };
        if instance.lines.len() == LOG_LINES_MAX {
            instance.lines.pop_front();
        }
        instance.lines.push_back(line.clone());
        // Under the lock, so that a follower sees each line once: in the tail or here.
        let _ = self.lines.send((id, line));
    }

    pub(super) fn listens(&self, id: InstanceId, port: u16, at: SocketAddr) {
        self.state.lock().routes.insert((Some(id), port), at);
    }

    pub(super) fn door_address(&self, id: InstanceId, port: u16) -> Option<SocketAddr> {
        self.state.lock().instances.get(&id)?.doors.get(&port)?.local_addr().ok()
    }
}

impl Instance {
    /// One that was just made, with these files.
    pub(super) fn with_files(files: BTreeMap<String, String>) -> Self {
        Self {
            generation: 0,
            process: ProcessState::Absent,
            program: Program::Idle,
            files,
            secrets: Vec::new(),
            doors: BTreeMap::new(),
            lines: VecDeque::new(),
            acts: JoinSet::new(),
        }
    }

    pub(super) fn is_running(&self) -> bool {
        matches!(self.process, ProcessState::Running { .. })
    }

    pub(super) fn observed(&self, id: InstanceId) -> Observed {
        Observed {
            id,
            generation: self.generation,
            process: self.process.clone(),
            enforced: limits(),
            usage: self.is_running().then_some(Usage { memory_bytes: 1 << 20, cpu_usec: 1, pids: 1 }),
        }
    }
}

pub(super) fn write_files(files: &mut BTreeMap<String, String>, wanted: &[WorkloadFile]) {
    for file in wanted {
        if file.overwrite || !files.contains_key(&file.path) {
            files.insert(file.path.clone(), file.content.clone());
        }
    }
}

pub(super) fn limits() -> Vec<Enforcement> {
    let limit = |limit: &str| Enforcement { limit: limit.to_owned(), enforced: true, reason: "fake".to_owned() };
    vec![limit("memory"), limit("network")]
}
