//! What a program inside cannot see, reach or do.

use std::{fs, net::TcpListener, os::unix::fs::PermissionsExt};

use reef_driver::{Driver, ProcessState};

use crate::fixture::{Fixture, is_root};

#[tokio::test]
async fn it_sees_its_own_files_and_a_system_without_secrets() {
    let mut fixture = Fixture::new();
    let secret = fixture.root.with_file_name("host-secret");
    fs::write(&secret, "host").unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o644)).unwrap();
    let text = fixture
        .output(&format!(
            "ls -A / | tr '\\n' ' '; echo; ls /home /run /reef | tr '\\n' ' '; echo; ls -A /tmp /etc/ssl; \
             for path in {} /root /var /srv /mnt /media /boot /sys/kernel /sys/class /run/docker.sock /etc/shadow; do \
             [ -e $path ] && echo visible $path; done; true",
            secret.display()
        ))
        .await;
    assert!(!text.contains("visible"), "{text}");
    let mut lines = text.lines();
    let roots: Vec<&str> = lines.next().unwrap().split_whitespace().collect();
    for name in &roots {
        let known = [
            "bin", "dev", "etc", "home", "lib", "lib32", "lib64", "libx32", "proc", "reef", "run", "sbin", "sys",
            "tmp", "usr",
        ];
        assert!(known.contains(name), "{name} is in the root");
    }
    let folders: Vec<&str> = lines.next().unwrap().split_whitespace().collect();
    assert_eq!(folders.join(" "), "/home: agent /reef: state workspace /run: reef");
}

#[tokio::test]
async fn it_writes_nowhere_but_in_its_own_folders() {
    let mut fixture = Fixture::new();
    let text = fixture
        .output(
            "for dir in /reef/state /reef/workspace /home/agent /tmp /dev/shm; do touch $dir/x || echo refused $dir; done; \
             for path in /x /usr/x /usr/bin/sh /etc/passwd /etc/x /reef/x /home/x /run/x /run/reef/x /dev/x \
             /proc/sys/kernel/hostname /proc/sys/kernel/core_pattern /proc/sysrq-trigger /proc/pressure/memory \
             /proc/1/oom_score_adj /proc/1/comm; do \
             (echo x > $path) 2>/dev/null && echo written $path; done; true",
        )
        .await;
    // /dev is in memory.
    let allowed = |line: &&str| !["written /dev/x"].contains(line);
    assert_eq!(text.lines().filter(allowed).collect::<Vec<_>>(), Vec::<&str>::new());
}

/// Agents make the commands that they run the first to go when memory is short; nothing may make itself the last.
#[tokio::test]
async fn it_may_volunteer_to_be_killed_first_and_not_last() {
    let mut fixture = Fixture::new();
    let script = "echo 500 > /proc/self/oom_score_adj && cat /proc/self/oom_score_adj; \
                  (echo -1000 > /proc/self/oom_score_adj) 2>/dev/null || echo refused";
    assert_eq!(fixture.output(script).await, "500\nrefused");
}

#[tokio::test]
async fn it_has_no_rights_and_no_way_to_any() {
    let mut fixture = Fixture::new();
    let mut workload = fixture.workload("/reef/workspace/id -u; grep -E '^(Cap|NoNewPrivs|Seccomp:|Groups|CoreDump)' /proc/self/status; ulimit -c; umask; ls /proc/self/fd | tr '\\n' ' '");
    workload.argv[1] = "-c".into();
    fixture.driver.prepare(&workload).await.unwrap();
    let setuid = fixture.root.join(workload.id.to_string()).join("workspace/id");
    fs::copy("/usr/bin/id", &setuid).unwrap();
    fs::set_permissions(&setuid, fs::Permissions::from_mode(0o6755)).unwrap();
    fixture.driver.start(&workload).await.unwrap();
    assert_eq!(fixture.exit(workload.id).await.code, Some(0));
    let text = fixture.text(workload.id, "stdout").await;
    let fields: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(fields[0], ["1000"], "a setuid program changes nothing");
    for set in ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"] {
        assert!(fields.contains(&vec![set, "0000000000000000"]), "{set} in {text}");
    }
    for flag in [["NoNewPrivs:", "1"], ["Seccomp:", "2"]] {
        assert!(fields.contains(&flag.to_vec()), "{flag:?} in {text}");
    }
    let tail: Vec<&str> = text.lines().rev().take(3).collect();
    assert_eq!(tail, ["0 1 2 3 ", "0077", "0"], "no descriptor is left open; 3 is the listing's own");
    if is_root() {
        assert!(fields.contains(&vec!["Groups:"]), "{text}");
    }
}

#[tokio::test]
async fn it_is_alone_among_its_processes() {
    let mut fixture = Fixture::new();
    let neighbour = fixture.start("exec sleep 1000").await;
    let text = fixture
        .output("set -- /proc/[0-9]*; echo $#; readlink /proc/1/exe; cat /proc/1/environ; kill -9 -1; true")
        .await;
    // The first process and the shell. The first one keeps to itself.
    assert_eq!(text, "2");
    assert!(matches!(fixture.driver.observe(neighbour).await.unwrap().process, ProcessState::Running { .. }));
    fixture.clean().await;
}

#[tokio::test]
async fn its_network_is_its_own_loopback() {
    let mut fixture = Fixture::new();
    let host = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = host.local_addr().unwrap().port();
    let text = fixture
        .output(&format!(
            "tail -n +3 /proc/net/dev | cut -d: -f1; \
             perl -MIO::Socket::INET -e 'for (\"127.0.0.1:{port}\", \"192.0.2.1:80\", \"169.254.169.254:80\") {{ \
             my $c = IO::Socket::INET->new(PeerAddr => $_, Timeout => 5); print $c ? \"reached $_\" : \"no\", \"\\n\" }}'"
        ))
        .await;
    assert_eq!(text.split_whitespace().collect::<Vec<_>>(), ["lo", "no", "no", "no"]);
}

#[cfg(target_arch = "x86_64")]
#[tokio::test]
async fn system_calls_without_use_are_refused() {
    const EPERM: u32 = 1;
    const ENOSYS: u32 = 38;
    const EAFNOSUPPORT: u32 = 97;
    const CLONE_NEWUSER: u32 = 0x1000_0000;
    let cases = [
        ("mount", "165, 0, 0, 0, 0, 0".to_owned(), EPERM),
        ("umount2", "166, 0, 0".to_owned(), EPERM),
        ("pivot_root", "155, 0, 0".to_owned(), EPERM),
        ("open_tree", "428, -100, 0, 1".to_owned(), EPERM),
        ("open_tree_attr", "467, -100, 0, 1, 0, 0".to_owned(), EPERM),
        ("fsopen", "430, 0, 0".to_owned(), EPERM),
        ("unshare", format!("272, {CLONE_NEWUSER}"), EPERM),
        ("setns", "308, 0, 0".to_owned(), EPERM),
        ("clone with a namespace", format!("56, {CLONE_NEWUSER} | 17, 0, 0, 0, 0"), EPERM),
        ("clone3", "435, 0, 0".to_owned(), ENOSYS),
        ("io_uring_setup", "425, 1, 0".to_owned(), ENOSYS),
        ("keyctl", "250, 0, 0".to_owned(), EPERM),
        ("add_key", "248, 0, 0, 0, 0, 0".to_owned(), EPERM),
        ("bpf", "321, 0, 0, 0".to_owned(), EPERM),
        ("perf_event_open", "298, 0, 0, 0, 0, 0".to_owned(), EPERM),
        ("userfaultfd", "323, 0".to_owned(), EPERM),
        ("open_by_handle_at", "304, 0, 0, 0".to_owned(), EPERM),
        ("kexec_load", "246, 0, 0, 0, 0".to_owned(), EPERM),
        ("init_module", "175, 0, 0, 0".to_owned(), EPERM),
        ("terminal injection", "16, 0, 0x5412, 0".to_owned(), EPERM),
        ("getpid of the x32 interface", "0x40000000 | 39".to_owned(), ENOSYS),
        ("packet socket", "41, 17, 3, 0".to_owned(), EAFNOSUPPORT),
        ("vsock", "41, 40, 1, 0".to_owned(), EAFNOSUPPORT),
        ("kernel crypto socket", "41, 38, 5, 0".to_owned(), EAFNOSUPPORT),
        ("audit netlink", "41, 16, 3, 9".to_owned(), EAFNOSUPPORT),
        ("unix socket", "41, 1, 1, 0".to_owned(), 0),
        ("route netlink", "41, 16, 3, 0".to_owned(), 0),
        ("ordinary clone", "57".to_owned(), 0),
    ];
    let calls: Vec<String> = cases
        .iter()
        .map(|(_, arguments, _)| {
            format!("$! = 0; $r = syscall({arguments}); exit 0 if $r == 0 && $n++ > 26; print 0 + $!, \"\\n\";")
        })
        .collect();
    let mut fixture = Fixture::new();
    let text = fixture.output(&format!("perl -e '$| = 1; {}'", calls.join(" "))).await;
    let got: Vec<u32> = text.lines().map(|line| line.parse().unwrap()).collect();
    for ((name, _, expect), got) in cases.iter().zip(&got) {
        assert_eq!(got, expect, "{name}");
    }
    assert!(got.len() >= cases.len(), "{text}");
}

#[tokio::test]
async fn on_the_host_it_is_nobody() {
    let mut fixture = Fixture::new();
    let id = fixture.start("exec sleep 1000").await;
    let ProcessState::Running { pid } = fixture.driver.observe(id).await.unwrap().process else {
        panic!("not running")
    };
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let uid = status.lines().find_map(|line| line.strip_prefix("Uid:")).unwrap().split_whitespace().next().unwrap();
    let own = rustix::process::geteuid().as_raw();
    let uid: u32 = uid.parse().unwrap();
    if own == 0 {
        assert!(uid >= 1_900_000_000, "{uid}");
        let other = fixture.start("exec sleep 1000").await;
        let folder = |id: reef_types::InstanceId| fixture.root.join(id.to_string()).join("state");
        let owner = |id| std::os::unix::fs::MetadataExt::uid(&fs::metadata(folder(id)).unwrap());
        assert_eq!(owner(id), uid);
        assert_ne!(owner(other), uid, "each instance has its own");
    } else {
        assert_eq!(uid, own);
    }
    fixture.clean().await;
}

#[tokio::test]
async fn common_tools_work() {
    let mut fixture = Fixture::new();
    let script = "cd /reef/workspace && git init -q . && echo hi > a && git add a && \
                  git -c user.name=a -c user.email=a@b commit -qm x && git log --oneline | wc -l; \
                  python3 -c 'import subprocess, threading, tempfile, ssl; \
                  t = threading.Thread(target=lambda: print(subprocess.check_output([\"id\", \"-un\"]).decode().strip())); \
                  t.start(); t.join(); print(tempfile.NamedTemporaryFile().name[:5])'; \
                  perl -e 'use IO::Pty' 2>/dev/null; script -qc 'tty' /dev/null | tr -d '\\r'";
    assert_eq!(fixture.output(script).await, "1\nagent\n/tmp/\n/dev/pts/0");
}

#[tokio::test]
async fn node_works() {
    let mut fixture = Fixture::new();
    let program = "const c = require('child_process'), w = require('worker_threads'); \
        console.log(c.execFileSync('/bin/sh', ['-c', 'echo child']).toString().trim()); \
        new w.Worker('require(\"worker_threads\").parentPort.postMessage(\"worker\")', { eval: true }).on('message', console.log); \
        require('fs').watch('/reef/state', () => {}).close(); \
        require('dns').lookup('localhost', { family: 4 }, (e, a) => console.log(a)); \
        const f = new Function('a', 'return a + 1'); let x = 0; for (let i = 0; i < 1e6; i++) x = f(x); console.log(x);";
    let mut workload = fixture.workload("");
    // Node reserves far more memory than it uses; only what it uses counts.
    workload.argv = ["/usr/bin/node", "-e", program].map(str::to_owned).to_vec();
    let id = fixture.start_workload(&workload).await;
    let exit = fixture.exit(id).await;
    let text = fixture.text(id, "stdout").await;
    assert_eq!(exit.code, Some(0), "{text} {}", fixture.text(id, "stderr").await);
    for line in ["child", "worker", "127.0.0.1", "1000000"] {
        assert!(text.lines().any(|l| l == line), "{line} in {text}");
    }
}
