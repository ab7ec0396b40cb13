//! Acting out what a program of the fake would do.

use std::sync::Weak;

use reef_types::InstanceId;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{Duration, sleep},
};

use super::{Program, fake_world::World};
use crate::Exit;

const TICK_EVERY: Duration = Duration::from_millis(100);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Ends when the program does, or when it is aborted because the instance was stopped. Holds the world weakly: it would
/// keep itself alive otherwise.
pub(super) async fn act(world: Weak<World>, id: InstanceId, program: Program) {
    // A socket that fails makes the program silent, and the test that waits for it says so.
    let _ = match program {
        Program::Idle | Program::Stubborn => Ok(()),
        Program::Exit { code } => end(&world, id, code),
        Program::Print { lines } => print_all(&world, id, &lines),
        Program::Tick => tick(&world, id).await,
        Program::Echo { port } => echo(&world, id, port).await,
        Program::Knock { port } => knock(&world, id, port).await,
        Program::ShowSecret { name } => show_secret(&world, id, &name).await,
    };
}

fn end(world: &Weak<World>, id: InstanceId, code: u8) -> std::io::Result<()> {
    if let Some(world) = world.upgrade() {
        world.end(id, Exit { code: Some(code.into()), signal: None, out_of_memory: false, setup_error: None });
    }
    Ok(())
}

fn print_all(world: &Weak<World>, id: InstanceId, lines: &[String]) -> std::io::Result<()> {
    if let Some(world) = world.upgrade() {
        lines.iter().for_each(|line| world.print(id, line));
    }
    end(world, id, 0)
}

async fn tick(world: &Weak<World>, id: InstanceId) -> std::io::Result<()> {
    let mut count = 0_u64;
    while let Some(world) = world.upgrade() {
        count += 1;
        world.print(id, &format!("tick {count}"));
        drop(world);
        sleep(TICK_EVERY).await;
    }
    Ok(())
}

async fn echo(world: &Weak<World>, id: InstanceId, port: u16) -> std::io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    if let Some(world) = world.upgrade() {
        world.listens(id, port, listener.local_addr()?);
    }
    let mut connections = JoinSet::new();
    loop {
        let (mut stream, _) = listener.accept().await?;
        connections.spawn(async move {
            let (mut read, mut write) = stream.split();
            // The other end may go at any time.
            let _ = tokio::io::copy(&mut read, &mut write).await;
        });
    }
}

async fn knock(world: &Weak<World>, id: InstanceId, port: u16) -> std::io::Result<()> {
    let door = world.upgrade().and_then(|world| world.door_address(id, port));
    let mut stream = BufReader::new(TcpStream::connect(door.ok_or(std::io::ErrorKind::NotFound)?).await?);
    stream.write_all(b"knock\n").await?;
    let mut answer = String::new();
    stream.read_line(&mut answer).await?;
    if let Some(world) = world.upgrade() {
        world.print(id, &format!("answer: {}", answer.trim_end()));
    }
    Ok(())
}

async fn show_secret(world: &Weak<World>, id: InstanceId, name: &str) -> std::io::Result<()> {
    let mut last = None;
    while let Some(world) = world.upgrade() {
        let now = {
            let state = world.state.lock();
            let secrets = state.instances.get(&id).map(|instance| instance.secrets.as_slice()).unwrap_or_default();
            let secret = secrets.iter().find(|secret| secret.name == name);
            secret.map_or("secret: none".to_owned(), |secret| format!("secret: {}", secret.value))
        };
        if last.as_ref() != Some(&now) {
            world.print(id, &now);
            last = Some(now);
        }
        drop(world);
        sleep(LOOK_EVERY).await;
    }
    Ok(())
}
