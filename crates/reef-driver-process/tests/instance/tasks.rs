//! Programs of installers: short, confined, with the host's network, and gone when nobody wants them.

use std::{
    fs,
    io::{Read, Write},
    net::TcpListener,
    time::Duration,
};

use reef_driver::{Task, TaskMount, TaskRunner};
use reef_driver_process::ProcessTasks;

use crate::fixture::{PATIENCE, shim};

fn task(script: &str, mounts: Vec<TaskMount>) -> Task {
    Task {
        argv: ["/bin/sh", "-c", script].map(str::to_owned).to_vec(),
        env: vec![("PATH".into(), "/usr/bin:/bin".into())],
        cwd: "/".into(),
        mounts,
    }
}

fn mount(host: &std::path::Path, sandbox: &str, writable: bool) -> TaskMount {
    TaskMount { host: host.to_path_buf(), sandbox: sandbox.into(), writable }
}

#[tokio::test]
async fn a_task_works_in_its_folders_and_reports() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["out", "in"] {
        fs::create_dir(dir.path().join(name)).unwrap();
    }
    fs::write(dir.path().join("in/a"), "a").unwrap();
    fs::write(dir.path().join("out/given"), "").unwrap();
    let script = "id -u; echo x >> /out/given; cp /in/a /out/b; touch /in/x 2>/dev/null && echo bad; \
                  [ -e /root ] && echo bad; echo warn >&2; printf 'half\\rline'; exit 4";
    let mounts = vec![mount(&dir.path().join("out"), "/out", true), mount(&dir.path().join("in"), "/in", false)];
    let mut lines = Vec::new();
    let exit = ProcessTasks::new(shim())
        .run(task(script, mounts), &mut |line: &str| lines.push(line.to_owned()))
        .await
        .unwrap();
    assert_eq!((exit.code, exit.stderr_tail.as_str()), (Some(4), "warn\n"));
    lines.sort();
    assert_eq!(lines, ["1000", "half", "line", "warn"]);
    assert_eq!(fs::read_to_string(dir.path().join("out/b")).unwrap(), "a");
    assert_eq!(fs::read_to_string(dir.path().join("out/given")).unwrap(), "x\n");
}

#[tokio::test]
async fn a_task_that_cannot_start_is_an_error() {
    let mut task = task("", Vec::new());
    task.argv = vec!["/no/such/program".into()];
    let err = ProcessTasks::new(shim()).run(task, &mut |_: &str| {}).await.unwrap_err();
    assert!(err.message.contains("/no/such/program"), "{err}");
}

#[tokio::test]
async fn a_task_reaches_the_hosts_loopback_but_not_its_sockets() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut text = [0; 3];
        stream.read_exact(&mut text).unwrap();
        stream.write_all(b"pong\n").unwrap();
    });
    let script = format!(
        "perl -MIO::Socket::INET -e 'my $c = IO::Socket::INET->new(PeerAddr => \"127.0.0.1:{port}\") or die; \
         syswrite($c, \"abc\"); print <$c>'; perl -MSocket -e 'socket(my $s, AF_UNIX, SOCK_STREAM, 0) or print \"no unix\\n\"; \
         for (SOCK_DGRAM, SOCK_RAW) {{ socketpair(my $a, my $b, AF_UNIX, $_, 0) or print \"no pair\\n\" }} \
         socketpair(my $a, my $b, AF_UNIX, SOCK_STREAM, 0) and print \"pair\\n\"'"
    );
    let mut lines = Vec::new();
    let exit = ProcessTasks::new(shim())
        .run(task(&script, Vec::new()), &mut |line: &str| lines.push(line.to_owned()))
        .await
        .unwrap();
    server.join().unwrap();
    assert_eq!((exit.code, lines.join(",").as_str()), (Some(0), "pong,no unix,no pair,no pair,pair"));
}

#[tokio::test]
async fn a_dropped_task_ends_with_all_its_children() {
    let dir = tempfile::tempdir().unwrap();
    let beat = dir.path().join("beat");
    let runner = ProcessTasks::new(shim());
    let script = "setsid sh -c 'while :; do date +%N > /out/beat; sleep 0.02; done' & echo up; sleep 1000";
    let (up, mut is_up) = tokio::sync::mpsc::channel(1);
    let mut on_line = move |_: &str| {
        let _ = up.try_send(());
    };
    let mut running = Box::pin(runner.run(task(script, vec![mount(dir.path(), "/out", true)]), &mut on_line));
    let begun = async {
        is_up.recv().await;
        while !beat.exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        _ = &mut running => panic!("the task ended by itself"),
        () = begun => {}
    }
    drop(running);
    // It has ended when its heart has not beaten for ten times its interval.
    let stopped = async {
        loop {
            let before = fs::read(&beat).unwrap();
            tokio::time::sleep(Duration::from_millis(200)).await;
            if fs::read(&beat).unwrap() == before {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, stopped).await.expect("a child goes on");
}

#[tokio::test]
async fn npm_works() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("package.json"), r#"{"name":"x","version":"1.0.0","scripts":{"say":"node -p 1+1"}}"#)
        .unwrap();
    let mut task = task("cd /out && HOME=/tmp npm run --silent say", vec![mount(dir.path(), "/out", true)]);
    task.env.push(("NO_UPDATE_NOTIFIER".into(), "1".into()));
    let mut lines = Vec::new();
    let exit = ProcessTasks::new(shim()).run(task, &mut |line: &str| lines.push(line.to_owned())).await.unwrap();
    assert_eq!(exit.code, Some(0), "{lines:?}");
    assert_eq!(lines, ["2"]);
}
