//! The life of a shim that runs an instance: put up, hand over to the keeper, record the end.

use std::{fs::File, net::Shutdown, os::fd::OwnedFd, os::unix::net::UnixStream};

use rustix::{
    fs::{FlockOperation, OFlags},
    pipe::PipeFlags,
    process::{DumpableBehavior, set_dumpable_behavior},
    thread::CapabilitySet,
};

use super::{
    Sandbox, door,
    identity::{self, Network},
    keeper::{self, Doors, Keeper},
    leave_parent,
    log::{Log, Stream},
    report,
    secrets::Secrets,
    silence, write_file,
};
use crate::{
    error::{At, SetupError, Step},
    frame,
    init::Kind,
    packet,
    spec::{DOOR_SOCKET, EXIT_RECORD, ExitRecord, InstanceSpec, RUN_RECORD, Report, Secret},
    walls,
};

/// Held as long as the shim lives: two shims never share a run folder.
const LOCK_FILE: &str = "lock";

/// Returns when the instance has ended, or with the step that failed before it began.
pub(super) fn run(spec: &InstanceSpec, link: &UnixStream) -> Result<(), SetupError> {
    leave_parent()?;
    let _lock = lock(spec)?;
    clear(spec)?;
    let mut log = Log::open(&spec.log_dir).at_path(Step::OpenLog, &spec.log_dir)?;
    let started =
        start(spec, link).and_then(|(sandbox, keeper)| announce(spec, link, &sandbox).map(|()| (sandbox, keeper)));
    let (sandbox, mut keeper) = match started {
        Ok(started) => started,
        Err(error) => {
            log.line(Stream::Reef, &error.to_string());
            let exit = ExitRecord {
                generation: spec.generation,
                setup_error: Some(error.to_string()),
                ..ExitRecord::default()
            };
            let _ = write_file(&spec.run_dir, EXIT_RECORD, &exit);
            return Err(error);
        }
    };
    let end = keeper.run(&sandbox, &mut log);
    let exit = conclude(spec, &sandbox, &end);
    log.line(Stream::Reef, &describe(&exit));
    // Whoever sees the shim gone must find the record.
    write_file(&spec.run_dir, EXIT_RECORD, &exit).at_path(Step::Supervise, &spec.run_dir)?;
    let _ = std::fs::remove_file(spec.run_dir.join(DOOR_SOCKET));
    Ok(())
}

fn lock(spec: &InstanceSpec) -> Result<File, SetupError> {
    let path = spec.run_dir.join(LOCK_FILE);
    let file = File::options().create(true).append(true).open(&path).at_path(Step::Lock, &path)?;
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::AGAIN) => Err(SetupError::new(Step::Lock, "the instance is running already")),
        Err(err) => Err(err).at_path(Step::Lock, &path),
    }
}

/// What the last run has left. Only whoever holds the lock may say that it is over.
fn clear(spec: &InstanceSpec) -> Result<(), SetupError> {
    for name in [RUN_RECORD, EXIT_RECORD, DOOR_SOCKET] {
        match std::fs::remove_file(spec.run_dir.join(name)) {
            Err(err) if err.kind() != std::io::ErrorKind::NotFound => return Err(err).at_path(Step::Lock, name),
            _ => {}
        }
    }
    Ok(())
}

fn start(spec: &InstanceSpec, mut link: &UnixStream) -> Result<(Sandbox, Keeper), SetupError> {
    let as_root = identity::enter(Network::Own)?;
    let doors = spec
        .doors
        .iter()
        .map(|port| door::listen(*port).map(|fd| (*port, fd)).at_path(Step::BindDoor, format!("port {port}")))
        .collect::<Result<Doors, _>>()?;
    let listener =
        packet::listen(&spec.run_dir, DOOR_SOCKET, keeper::BACKLOG).at_path(Step::ListenForHub, &spec.run_dir)?;
    let (stdout, stdout_writer) = log_pipe()?;
    let (stderr, stderr_writer) = log_pipe()?;

    let mut sandbox = Sandbox::fork(&spec.program, Kind::Instance, as_root, Some((stdout_writer, stderr_writer)))?;
    let owner = as_root.then_some(spec.program.host_uid);
    let mut folder = None;
    let led = sandbox.lead(&spec.program, Kind::Instance, |fd| {
        let secrets = Secrets::new(fd, owner);
        let list: Vec<Secret> = frame::read(&mut link).at(Step::PutSecrets)?;
        secrets.replace(&list).at(Step::PutSecrets)?;
        folder = Some(secrets);
        Ok(())
    });
    let ready = led.and_then(|()| {
        // What is left to do: kill the sandbox, write its secrets, keep its folders.
        let kept = CapabilitySet::KILL | CapabilitySet::CHOWN | CapabilitySet::DAC_OVERRIDE;
        walls::keep_capabilities(kept).at(Step::DropCapabilities)?;
        // It holds secrets and sockets that no other process of the same user is to take out of it.
        set_dumpable_behavior(DumpableBehavior::NotDumpable).at(Step::DropCapabilities)?;
        let secrets = folder.ok_or_else(|| SetupError::new(Step::PutSecrets, "there is no folder for secrets"))?;
        Keeper::new(&sandbox, listener, doors, secrets, [stdout, stderr]).at(Step::Supervise)
    });
    match ready {
        Ok(keeper) => Ok((sandbox, keeper)),
        Err(error) => {
            sandbox.destroy();
            let _ = std::fs::remove_file(spec.run_dir.join(DOOR_SOCKET));
            Err(error)
        }
    }
}

/// The reading end does not block; the writing end does, as programs expect.
fn log_pipe() -> Result<(OwnedFd, OwnedFd), SetupError> {
    let (reader, writer) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).at(Step::OpenLog)?;
    rustix::fs::fcntl_setfl(&reader, OFlags::NONBLOCK).at(Step::OpenLog)?;
    Ok((reader, writer))
}

/// On disk first: a parent that dies between the two finds everything there.
fn announce(spec: &InstanceSpec, link: &UnixStream, sandbox: &Sandbox) -> Result<(), SetupError> {
    let announced = sandbox.record(spec.generation).and_then(|record| {
        write_file(&spec.run_dir, RUN_RECORD, &record).at_path(Step::Supervise, &spec.run_dir)?;
        silence()?;
        Ok(record)
    });
    match announced {
        Ok(record) => {
            report(link, &Report::Started(record));
            let _ = link.shutdown(Shutdown::Both);
            Ok(())
        }
        Err(error) => {
            sandbox.destroy();
            let _ = std::fs::remove_file(spec.run_dir.join(DOOR_SOCKET));
            Err(error)
        }
    }
}

fn conclude(spec: &InstanceSpec, sandbox: &Sandbox, end: &keeper::End) -> ExitRecord {
    let killed = end.signal == Some(libc::SIGKILL) || end.code == Some(128 + libc::SIGKILL);
    let out_of_memory = killed && !end.killed_by_us && sandbox.cgroup.oom_kills() > 0;
    // Nothing is left in it: the first process is gone, and with it everything else.
    let _ = sandbox.cgroup.remove();
    ExitRecord { generation: spec.generation, code: end.code, signal: end.signal, out_of_memory, setup_error: None }
}

fn describe(exit: &ExitRecord) -> String {
    match exit {
        ExitRecord { out_of_memory: true, .. } => "the program was killed: it used up its memory limit".to_owned(),
        ExitRecord { signal: Some(signal), .. } => format!("the program was ended by signal {signal}"),
        ExitRecord { code: Some(code), .. } => format!("the program exited with code {code}"),
        _ => "the program ended without a status".to_owned(),
    }
}
