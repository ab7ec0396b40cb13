use super::{find::*, *};

const HYBRID_OWN: &str = "4:memory:/job/a\n3:cpu,cpuacct:/\n2:name=systemd:/x\n0::/user/supervisor\n";
const HYBRID_MOUNTS: &str = "\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 /job /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
";

#[test]
fn own_place_per_controller() {
    let found = Hierarchies::parse(HYBRID_OWN, HYBRID_MOUNTS);
    let dir = |controller| found.base(controller).map(|place| (place.version, place.dir));
    assert_eq!(dir(Controller::Memory), Ok((Version::V1, "/sys/fs/cgroup/memory/a".into())));
    assert_eq!(dir(Controller::Cpu), Ok((Version::V1, "/sys/fs/cgroup/cpu".into())));
    assert_eq!(dir(Controller::Pids), Err("the controller `pids` is not available here".to_owned()));
    assert_eq!(found.unified(), Some(Path::new("/sys/fs/cgroup/unified/user")), "beside the supervisor");
    let none = Hierarchies::parse("0::/\n", "");
    assert_eq!(none.base(Controller::Memory), Err("no cgroup file system is mounted".to_owned()));
}

#[test]
fn version_2_hands_controllers_down_and_sets_every_limit() {
    let root = tempfile::tempdir().unwrap();
    let own = root.path().join("user");
    fs::create_dir_all(own.join("reef/one")).unwrap();
    fs::create_dir_all(own.join("supervisor")).unwrap();
    fs::write(own.join("cgroup.controllers"), "cpu memory pids").unwrap();
    let mounts = format!("41 31 0:38 / {} rw - cgroup2 cgroup2 rw", root.path().display());
    let found = Hierarchies::parse("0::/user/supervisor", &mounts).with_v2_controllers(&["cpu", "memory", "pids"]);

    let limits = Limits { memory_bytes: 1 << 30, cpus_milli: 500, pids: 64 };
    let (cgroup, report) = Cgroup::create(&found, "one", &limits);
    assert!(report.iter().all(|e| e.enforced), "{report:?}");
    assert_eq!(report.len(), 3);
    for (file, expect) in [
        ("reef/one/memory.max", "1073741824"),
        ("reef/one/memory.swap.max", "0"),
        ("reef/one/cpu.max", "50000 100000"),
        ("reef/one/pids.max", "64"),
        // A plain file keeps only the last write; the kernel adds them up.
        ("cgroup.subtree_control", "+pids"),
        ("reef/cgroup.subtree_control", "+pids"),
    ] {
        assert_eq!(fs::read_to_string(own.join(file)).unwrap(), expect, "{file}");
    }
    fs::write(own.join("reef/one/memory.events"), "low 0\noom 4\noom_kill 3\noom_group_kill 0\n").unwrap();
    fs::write(own.join("reef/one/memory.current"), "4096\n").unwrap();
    fs::write(own.join("reef/one/pids.current"), "7\n").unwrap();
    fs::write(own.join("reef/one/cpu.stat"), "usage_usec 12\nuser_usec 9\n").unwrap();
    assert_eq!(cgroup.oom_kills(), 3);
    assert_eq!(cgroup.usage(), Some(CgroupUsage { memory_bytes: 4096, cpu_usec: 12, pids: 7 }));
    assert_eq!(Cgroup::locate(&found, "one").dirs(), cgroup.dirs());
}

#[test]
fn a_limit_that_does_not_hold_has_a_reason() {
    let limits = Limits { memory_bytes: 1, cpus_milli: 1, pids: 1 };
    let (cgroup, report) = Cgroup::create(&Hierarchies::default(), "one", &limits);
    assert!(report.iter().all(|e| !e.enforced && !e.reason.is_empty()));
    assert_eq!(cgroup, Cgroup::default());
    assert_eq!(cgroup.usage(), None);
    cgroup.remove().unwrap();
}

#[test]
fn who_may_make_no_cgroup_is_told_what_helps() {
    let denied = not_made(&io::Error::from(io::ErrorKind::PermissionDenied));
    assert!(denied.contains("ermission denied") && denied.contains("Delegate=yes"), "{denied}");
    let other = not_made(&io::Error::from(io::ErrorKind::ReadOnlyFilesystem));
    assert!(!other.contains("Delegate"), "{other}");
}
