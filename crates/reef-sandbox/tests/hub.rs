//! What is left to a process that confined itself as the hub. The program runs itself again to be confined.

use std::{
    env, fs,
    os::unix::{
        fs::{DirBuilderExt, PermissionsExt, chown},
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    process::Command,
};

use reef_sandbox::{confine_hub, ids::HUB_HOST_UID, shim::runs_as_host_root};

const INSIDE: &str = "inside";

fn main() {
    let mut args = env::args_os().skip(1);
    if args.next().is_some_and(|arg| arg == INSIDE) {
        let place = PathBuf::from(args.next().expect("the place"));
        return inside(&place, &args.map(PathBuf::from).collect::<Vec<_>>());
    }
    let here = tempfile::tempdir().unwrap();
    confined(here.path(), &[]);
    if runs_as_host_root() {
        // Sockets that any user could be let in at by mistake, where services have theirs.
        let places = ["/run", "/tmp", "/var/lib"].map(|parent| tempfile::tempdir_in(parent).unwrap());
        for place in &places {
            fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755)).unwrap();
        }
        let sockets = places.each_ref().map(|place| place.path().join("open.sock"));
        let listeners = sockets.each_ref().map(|socket| UnixListener::bind(socket).unwrap());
        for socket in &sockets {
            fs::set_permissions(socket, fs::Permissions::from_mode(0o666)).unwrap();
            UnixStream::connect(socket).unwrap();
        }
        confined(places[1].path(), &sockets);
        drop(listeners);
    }
    println!("what is confined stays confined: ok");
}

/// Runs this program again, to confine itself to folders in `place`.
fn confined(place: &Path, sockets: &[PathBuf]) {
    let (root, data) = (runs_as_host_root(), place.join("data"));
    fs::DirBuilder::new().mode(0o700).create(&data).unwrap();
    for (name, mode) in [("own", 0o700), ("shared", 0o710), ("other", 0o755)] {
        fs::DirBuilder::new().mode(mode).create(data.join(name)).unwrap();
        fs::write(data.join(name).join("file"), "").unwrap();
    }
    let node = UnixListener::bind(data.join("shared/node.sock")).unwrap();
    if root {
        let uid = Some(HUB_HOST_UID);
        for path in ["own", "own/file", "shared/node.sock"] {
            chown(data.join(path), uid, uid).unwrap();
        }
        chown(data.join("shared"), None, uid).unwrap();
    }
    let status = Command::new(env::current_exe().unwrap()).arg(INSIDE).arg(&data).args(sockets).status().unwrap();
    assert!(status.success(), "{status}");
    assert!(fs::exists(data.join("own/new")).unwrap(), "what is written is there outside");
    drop(node);
}

fn inside(data: &Path, sockets: &[PathBuf]) {
    let root = runs_as_host_root();
    let uid = rustix::process::getuid();
    let report = confine_hub(&[data.join("own")], &[data.join("shared")]).unwrap();
    let holds = |limit: &str| report.iter().any(|wall| wall.limit == limit && wall.enforced);
    assert!(holds("identity") && holds("privileges") && holds("capabilities"), "{report:?}");
    identity(if root { HUB_HOST_UID } else { uid.as_raw() }, root);
    files(data, root, root || holds("filesystem"));
    for socket in sockets {
        let error = UnixStream::connect(socket).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::NotFound, "{}: {error}", socket.display());
    }
    UnixStream::connect(data.join("shared/node.sock")).unwrap();
}

fn identity(uid: u32, root: bool) {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = |name: &str| {
        let line = status.lines().find(|line| line.split(':').next() == Some(name));
        line.unwrap_or_else(|| panic!("no {name}")).split_ascii_whitespace().skip(1).collect::<Vec<_>>()
    };
    assert_eq!(line("NoNewPrivs"), ["1"]);
    for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        assert_eq!(line(set), ["0000000000000000"], "{set}");
    }
    assert_eq!(line("Uid"), [uid.to_string().as_str(); 4]);
    if root {
        assert_eq!(line("CapBnd"), ["0000000000000000"]);
        assert_eq!(line("Gid"), [uid.to_string().as_str(); 4]);
        assert!(line("Groups").is_empty(), "{:?}", line("Groups"));
    }
}

fn files(data: &Path, root: bool, walled: bool) {
    fs::write(data.join("own/file"), "changed").unwrap();
    fs::write(data.join("own/new"), "").unwrap();
    fs::read("/etc/passwd").unwrap();
    if walled {
        fs::read(data.join("other/file")).unwrap_err();
        for path in ["/x", "/etc/x", "/usr/x", "/tmp/x", "/run/x", "/dev/x"].map(PathBuf::from) {
            fs::write(&path, "").expect_err(&path.display().to_string());
        }
        fs::write(data.join("shared/new"), "").unwrap_err();
        fs::write(data.join("new"), "").unwrap_err();
    }
    if root {
        fs::read("/etc/shadow").unwrap_err();
        for hidden in ["/root", "/home", "/var/log", "/boot", "/srv", "/sys/kernel", "/proc/1/root/etc"] {
            assert!(!fs::exists(hidden).is_ok_and(|there| there), "{hidden}");
        }
        let seen = fs::read_dir(data).map(Iterator::count);
        assert!(seen.is_err() || seen.is_ok_and(|count| count == 2), "only the two folders are there");
    }
}
