//! What the agent's own shell can see, reach and do. Each question is asked from inside, by a command that the agent runs.

use std::{fs, net::TcpListener};

use serde_json::Value;

use crate::{reef::Reef, talk::inside, world};

/// The port of the agent's gateway, inside.
const GATEWAY_PORT: u16 = 18_789;

pub(crate) async fn nothing_beyond_itself(reef: &Reef) {
    let bob = reef.view("bob").await;
    let planted = plant(reef, &bob);
    let ((), (), rights) = tokio::join!(
        files(reef, &planted, &bob),
        processes(reef),
        inside(reef, "bob", "grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status; id -u"),
    );
    network(reef).await;
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert!(rights.contains(&format!("{set}:\t0000000000000000")), "{rights}");
    }
    for flag in ["NoNewPrivs:\t1", "Seccomp:\t2"] {
        assert!(rights.contains(flag), "{rights}");
    }
    assert_ne!(rights.lines().last(), Some("0"));
}

/// Something to find, in the other instance and beside all of them, that only its mode would not protect.
fn plant(reef: &Reef, bob: &Value) -> [String; 2] {
    let id = bob["id"].as_str().unwrap();
    let workspace = reef.data_dir().join("node/instances").join(id).join("workspace");
    [workspace, reef.data_dir().to_owned()].map(|dir| {
        let path = dir.join("planted");
        fs::write(&path, "seen-by-nobody-else").unwrap();
        path.display().to_string()
    })
}

async fn files(reef: &Reef, planted: &[String; 2], bob: &Value) {
    let home = reef.data_dir().display();
    let script = format!(
        "for path in {} {home} /root /etc/shadow /var /srv /boot /proc/1/root/root /proc/1/cwd/root; do \
         ls -d $path >/dev/null 2>&1 && echo visible $path; done; \
         grep -rl 's[e]en-by-nobody-else' /reef/state /reef/workspace /home /run /tmp /etc 2>/dev/null; \
         grep -c '{}' /proc/self/mountinfo; \
         for path in /x /usr/x /etc/passwd /reef/versions/x /proc/sys/kernel/hostname; do \
         (echo x >> $path) 2>/dev/null && echo written $path; done; echo done",
        planted.join(" "),
        bob["id"].as_str().unwrap(),
    );
    assert_eq!(inside(reef, "alice", &script).await, "0\ndone");
}

/// As many as the host counts in its sandbox, and none of them anybody else's.
async fn processes(reef: &Reef) {
    let seen = inside(reef, "alice", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '; echo; ls -d /proc/[0-9]* | wc -l").await;
    // The last one is this test itself; its folder's name alone is in the commands of other checks.
    for foreign in ["__hub", "__node", "/deps/real-"] {
        assert!(!seen.contains(foreign), "{seen}");
    }
    let id = reef.view("alice").await["id"].as_str().unwrap().to_owned();
    let count: usize = seen.lines().last().unwrap().parse().unwrap();
    // The shell, its commands, and what the gateway starts and ends meanwhile come and go.
    assert!(count.abs_diff(world::members(&id).len()) < 8, "{seen}");
    assert!(count < world::pids().count() / 2, "{seen}");
}

/// Not the hub, not the other gateway, not a service of this machine, not a neighbour, not the Internet.
async fn network(reef: &Reef) {
    let service = TcpListener::bind("127.0.0.1:0").unwrap();
    let everywhere = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = |listener: &TcpListener| listener.local_addr().unwrap().port();
    let refused = [
        format!("127.0.0.1:{}", reef.addr().port()),
        format!("127.0.0.1:{}", port(&service)),
        format!("127.0.0.1:{}", port(&everywhere)),
        "127.0.0.1:17602".to_owned(),
        "169.254.169.254:80".to_owned(),
        "192.0.2.1:80".to_owned(),
        "10.0.0.1:22".to_owned(),
    ];
    // The one that must be reached tells that the question itself is sound.
    let own = format!("127.0.0.1:{GATEWAY_PORT}");
    let script = format!(
        "node -e 'for (const to of process.argv.slice(1)) {{ const [host, port] = to.split(\":\"); \
         const socket = require(\"net\").connect({{ host, port, timeout: 3000 }}); \
         socket.on(\"connect\", () => {{ console.log(\"reached\", to); socket.destroy(); }}); \
         socket.on(\"timeout\", () => socket.destroy()); socket.on(\"error\", () => {{}}); }}' {} {own}; \
         tail -n +3 /proc/net/dev | cut -d: -f1; echo found $(ls /var/run/*.sock /run/*/*.sock 2>/dev/null)",
        refused.join(" ")
    );
    let said = inside(reef, "alice", &script).await;
    assert_eq!(said.split_whitespace().collect::<Vec<_>>(), ["reached", &own, "lo", "found"], "{said}");

    // Alice's own gateway has the same address as Bob's; what tells them apart is the network.
    let networks = ["alice", "bob"].map(async |name| {
        let id = reef.view(name).await["id"].as_str().unwrap().to_owned();
        let dir = reef.data_dir().join("node/instances").join(id);
        world::network_of(world::gateway_of(&dir).expect("a gateway"))
    });
    let [alice, bob] = networks;
    let (alice, bob, host) = (alice.await, bob.await, world::network_of(std::process::id()));
    assert!(alice != bob && alice != host && bob != host);
}
