//! Mounts of a running sandbox, changed from outside: the helper and its client, as root and as an
//! ordinary user.

mod common;
mod mounting;

use mounting::{Helper, Sandbox, mounts, step};
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use swathe::plan::model::{BoxPath, FileOp, Origin, Step as PlanStep, UserNamespace};
use swathe::plan::options::Opt;
use swathe_mounter::{Access, Error, Mounter, Step};
use swathe_testkit::{Bwrap, TempDir, notice};

/// A directory with two files, a script and a directory.
fn data(b: &Bwrap) -> TempDir {
    let temp = b.temp();
    temp.dir("data/below");
    temp.file("data/one", "text of one\n");
    temp.file("data/below/two", "text of two\n");
    temp.file("data/script", "#!/bin/sh\necho ran\n");
    temp.mode("data/script", 0o755);
    temp
}

/// What is shown is there at once, for every kind of access, also to a process that has looked
/// before; read-only is; and when it is taken away nothing is left, neither on the host.
fn shows_a_directory(b: &Bwrap) {
    let (temp, before) = (data(b), mounts());
    let mut sandbox = Sandbox::new(b);
    let root = sandbox.ask("ls -A /");
    assert_eq!(sandbox.ask("cat /a/b/one"), "cat: /a/b/one: No such file or directory");
    let id = sandbox.show(temp.at("data"), "/a/b", Access::ReadOnly);
    assert_eq!(
        sandbox.ask("cat /a/b/one /a/b/below/two; ls /a/b"),
        "text of one\ntext of two\nbelow\none\nscript"
    );
    assert_eq!(sandbox.ask("stat -c %F /a/b; /a/b/script"), "directory\nran");
    let refused = sandbox.ask("cd /a/b; touch one; echo >two; rm one; mkdir x; chmod 777 one");
    assert_eq!(refused.matches("Read-only file system").count(), 5, "{refused}");
    assert_eq!(mounts(), before);
    sandbox.undo(id);
    assert_eq!(sandbox.ask("ls -A /"), root);
    assert_eq!(temp.list("data"), ["below", "one", "script"]);
    assert_eq!(mounts(), before);
}

/// Writing goes through to the host where it is allowed. Set-user-ID does not work.
fn shows_a_directory_to_write(b: &Bwrap) {
    let temp = data(b);
    let mut sandbox = Sandbox::new(b);
    sandbox.show(temp.at("data"), "/tmp/x/y", Access::ReadWrite);
    assert_eq!(sandbox.ask("echo new >/tmp/x/y/new; rm /tmp/x/y/one; cat /tmp/x/y/new"), "new");
    assert_eq!(temp.list("data"), ["below", "new", "script"]);
    let options = sandbox.ask("grep ' /tmp/x/y ' /proc/self/mountinfo");
    assert!(options.contains(" rw,nosuid,nodev"), "{options}");
}

/// Files, at names that exist and that do not.
fn shows_files(b: &Bwrap) {
    let temp = data(b);
    let mut sandbox = Sandbox::new(b);
    sandbox.ask("echo inside >/tmp/there");
    let there = sandbox.show(temp.at("data/one"), "/tmp/there", Access::ReadOnly);
    let new = sandbox.show(temp.at("data/below/two"), "/tmp/new", Access::ReadWrite);
    assert_eq!(sandbox.ask("cat /tmp/there /tmp/new"), "text of one\ntext of two");
    let refused = sandbox.ask("echo more >>/tmp/there");
    assert!(refused.contains("Read-only file system"), "{refused}");
    assert_eq!(sandbox.ask("echo more >>/tmp/new"), "");
    assert_eq!(temp.read("data/below/two").as_deref(), Some("text of two\nmore\n"));
    sandbox.undo(new);
    sandbox.undo(there);
    assert_eq!(sandbox.ask("cat /tmp/there; ls /tmp"), "inside\nthere");
}

/// What is mounted below comes along, read-only too, and the host's stays as it was.
fn shows_what_is_mounted_below(b: &Bwrap) {
    let table = mounts();
    let places = table.lines().filter_map(|line| line.split(' ').nth(4));
    let writable = |path: &&str| {
        let path = Path::new(path);
        let Some(above) = path.parent().filter(|above| above.parent().is_some()) else {
            return false;
        };
        let device = |path: &Path| std::fs::metadata(path).map(|m| m.dev()).ok();
        path.is_dir()
            && !path.starts_with("/proc")
            && device(path) != device(above)
            && table
                .lines()
                .any(|line| line.split(' ').nth(4) == path.to_str() && line.contains(" rw,"))
    };
    let Some(place) = places.filter(|place| !place.contains('\\')).find(writable) else {
        notice("no file system is mounted below a directory: mounts below are not tried");
        return;
    };
    let (above, name) = place.rsplit_once('/').expect("absolute");
    let mut sandbox = Sandbox::new(b);
    let id = sandbox.show(above, "/shown", Access::ReadOnly);
    let device = std::fs::metadata(place).expect("it is there").dev();
    assert_eq!(sandbox.ask(&format!("stat -c %d '/shown/{name}'")), device.to_string());
    let line = sandbox.ask("grep ' /shown' /proc/self/mountinfo");
    assert!(line.lines().count() > 1, "{line}");
    for line in line.lines() {
        let options = line.split(' ').nth(5).unwrap_or_default();
        assert!(options.starts_with("ro,nosuid,nodev"), "{line}");
    }
    sandbox.undo(id);
    assert_eq!(
        sandbox.ask("grep ' /shown' /proc/self/mountinfo; ls -d /shown"),
        "ls: cannot access '/shown': No such file or directory"
    );
    assert_eq!(mounts(), table);
}

/// Names are created below a root that is read-only for the sandbox, and that stays so.
fn a_read_only_root(b: &Bwrap) {
    let temp = data(b);
    let edit = |plan: &mut swathe::plan::Plan| {
        let op = FileOp::RemountReadOnly { dest: BoxPath(b"/".to_vec()) };
        let origin = Origin { opt: Opt::RemountRo, index: 1, args_fd: None };
        plan.steps.push(PlanStep { op, origin });
    };
    let mut sandbox = Sandbox::with(b, |command| command, edit);
    let root = sandbox.ask("ls -A /");
    let id = sandbox.show(temp.at("data"), "/deep/er/data", Access::ReadOnly);
    assert_eq!(sandbox.ask("cat /deep/er/data/one"), "text of one");
    for dir in ["/", "/deep", "/deep/er"] {
        let refused = sandbox.ask(&format!("touch {dir}/x"));
        assert!(refused.contains("Read-only file system"), "{refused}");
    }
    sandbox.undo(id);
    assert_eq!(sandbox.ask("ls -A /"), root);
}

/// A hidden path can neither be read nor listed nor opened up; the host sees it as before, and who
/// has it open keeps it.
fn hides(b: &Bwrap) {
    let (temp, before) = (data(b), mounts());
    let dir = temp.path().join("data");
    let mut sandbox = Sandbox::with(b, |command| command.bind(&dir, "/work"), |_| ());
    sandbox.ask("exec 7</work/one; cd /work/below");
    let file = sandbox.hide("/work/one");
    assert_eq!(sandbox.ask("cat /work/one"), "cat: /work/one: Permission denied");
    assert_eq!(sandbox.ask("cat ../one; cat <&7"), "cat: ../one: Permission denied\ntext of one");
    let refused = sandbox.ask("chmod 777 /work/one; rm -f /work/one; mv /work/one /work/x");
    assert_eq!(refused.matches("Read-only file system").count(), 1, "{refused}");
    assert_eq!(refused.matches("Device or resource busy").count(), 2, "{refused}");
    let below = sandbox.hide("/work/below");
    assert_eq!(sandbox.ask("cat /work/below/two"), "cat: /work/below/two: Permission denied");
    let refused = sandbox.ask("ls /work/below; cd /work/below");
    assert!(refused.contains("Permission denied"), "{refused}");
    assert_eq!(temp.read("data/one").as_deref(), Some("text of one\n"));
    assert_eq!(temp.list("data"), ["below", "one", "script"]);
    assert_eq!(mounts(), before);
    sandbox.undo(file);
    sandbox.undo(below);
    assert_eq!(sandbox.ask("cat /work/one /work/below/two"), "text of one\ntext of two");
}

/// A file that the host replaces takes the cover with it, as one that it removes does: who hides
/// names has to watch for new ones. One that the host writes to stays covered.
fn what_the_host_replaces(b: &Bwrap) {
    let temp = data(b);
    let dir = temp.path().join("data");
    let mut sandbox = Sandbox::with(b, |command| command.bind(&dir, "/work"), |_| ());
    let id = sandbox.hide("/work/one");
    temp.file("data/one", "written\n");
    assert_eq!(sandbox.ask("cat /work/one"), "cat: /work/one: Permission denied");
    std::fs::rename(dir.join("below/two"), dir.join("one")).expect("on the host");
    assert_eq!(sandbox.ask("cat /work/one"), "text of two");
    assert_eq!(step(sandbox.mounter.undo(id)), (Step::NoSuchMount, 0));
    sandbox.hide("/work/one");
    assert_eq!(sandbox.ask("cat /work/one"), "cat: /work/one: Permission denied");
}

/// What was judged is what is shown, or nothing.
fn another_object(b: &Bwrap) {
    let temp = data(b);
    let mut sandbox = Sandbox::new(b);
    let path = |name: &str| temp.path().join("data").join(name);
    let object = std::fs::File::open(path("one")).expect("open");
    let mut show = |host: &Path| {
        let mounter = &mut sandbox.mounter;
        mounter.show_object(object.as_fd(), host, Path::new("/tmp/x"), Access::ReadOnly)
    };
    show(&path("one")).expect("the same");
    for host in [path("script"), path("below"), temp.path().to_owned()] {
        assert_eq!(step(show(&host)), (Step::HostChanged, 0), "{host:?}");
    }
    // Nothing of the host's procfs is ever shown.
    assert_eq!(step(show(Path::new("/proc/version"))), (Step::HostPath, libc::ENOENT));
    std::fs::rename(path("below/two"), path("one")).expect("on the host");
    assert_eq!(step(show(&path("one"))), (Step::HostChanged, 0));
    assert_eq!(sandbox.ask("cat /tmp/x"), "text of one");
}

/// Sockets too are shown, and can be connected to.
fn shows_a_socket(b: &Bwrap) {
    let temp = data(b);
    let listener = std::os::unix::net::UnixListener::bind(temp.at("socket")).expect("a socket");
    let mut sandbox = Sandbox::new(b);
    sandbox.show(temp.at("socket"), "/tmp/socket", Access::ReadOnly);
    assert_eq!(sandbox.ask("test -S /tmp/socket && echo socket"), "socket");
    let path = format!("/proc/{}/root/tmp/socket", sandbox.pid());
    std::os::unix::net::UnixStream::connect(path).expect("connect");
    listener.accept().expect("accept");
}

/// What is shown on top of what is hidden, and hidden below what is shown, goes in order.
fn in_order(b: &Bwrap) {
    let temp = data(b);
    let mut sandbox = Sandbox::new(b);
    let shown = sandbox.show(temp.at("data"), "/data", Access::ReadOnly);
    let hidden = sandbox.hide("/data/below");
    let again = sandbox.show(temp.at("data/below/two"), "/data/one", Access::ReadOnly);
    assert_eq!(step(sandbox.mounter.undo(shown)), (Step::Covered, 0));
    assert_eq!(
        sandbox.ask("cat /data/one; ls /data/below | wc -l"),
        "text of two\nls: cannot open directory '/data/below': Permission denied\n0"
    );
    sandbox.undo(again);
    assert_eq!(sandbox.ask("cat /data/one"), "text of one");
    sandbox.undo(hidden);
    sandbox.undo(shown);
    assert_eq!(step(sandbox.mounter.undo(shown)), (Step::NoSuchMount, 0));
}

/// What cannot be done is refused, with the step and its error, and nothing is left of it.
fn refuses(b: &Bwrap) {
    let temp = data(b);
    temp.link("data", "link");
    let dir = temp.path().join("data");
    let mut sandbox = Sandbox::with(b, |command| command.bind(&dir, "/work"), |_| ());
    sandbox.ask("ln -s /work /tmp/link; mkdir /tmp/dir; : >/tmp/file; ln -s x /tmp/dangling");
    let before = sandbox.ask("cat /proc/self/mountinfo; find /tmp /work");
    let one = dir.join("one");
    let show = |sandbox: &mut Sandbox, host: &Path, path: &str| {
        sandbox.mounter.show(host, Path::new(path), Access::ReadOnly)
    };
    for host in ["link/one", "link"] {
        let result = show(&mut sandbox, &temp.path().join(host), "/x");
        let looped =
            matches!(&result, Err(Error::Host(_, e)) if e.raw_os_error() == Some(libc::ELOOP));
        assert!(looped, "{result:?}");
    }
    let missing = show(&mut sandbox, &dir.join("missing"), "/x");
    assert!(matches!(&missing, Err(Error::Host(_, e)) if e.kind() == std::io::ErrorKind::NotFound));
    for path in ["/", "x", "", "/..", "/tmp/../x", "/a\0b"] {
        assert!(matches!(show(&mut sandbox, &one, path), Err(Error::Path(_))), "{path:?}");
        assert!(matches!(sandbox.mounter.hide(Path::new(path)), Err(Error::Path(_))), "{path:?}");
    }
    let long = format!("/{}", "x".repeat(300));
    for (host, path, expected) in [
        (&one, "/tmp/link/one", (Step::Place, libc::ELOOP)),
        (&one, "/tmp/link/new", (Step::Place, libc::ELOOP)),
        (&one, "/tmp/link", (Step::Place, libc::ELOOP)),
        (&one, "/tmp/dangling", (Step::Place, libc::ELOOP)),
        (&one, "/tmp/file/below", (Step::Place, libc::ENOTDIR)),
        (&one, "/tmp/dir", (Step::Kind, 0)),
        (&dir, "/tmp/file", (Step::Kind, 0)),
        (&dir, "/proc/1", (Step::Kind, 0)),
        (&one, "/proc/self/status", (Step::Place, libc::ELOOP)),
        (&one, "/proc/version", (Step::Kind, 0)),
        (&one, "/work/new", (Step::CreateOnHost, 0)),
        (&one, "/work/below/new/er", (Step::CreateOnHost, 0)),
        (&one, "/usr/new", (Step::CreateOnHost, 0)),
        (&one, long.as_str(), (Step::Place, libc::ENAMETOOLONG)),
    ] {
        let result = sandbox.mounter.show(host, Path::new(path), Access::ReadOnly);
        assert_eq!(step(result), expected, "{path}");
    }
    for (path, expected) in [
        ("/work/missing", (Step::Place, libc::ENOENT)),
        ("/tmp/link", (Step::Place, libc::ELOOP)),
        ("/tmp/link/one", (Step::Place, libc::ELOOP)),
        ("/proc/version", (Step::Kind, 0)),
    ] {
        assert_eq!(step(sandbox.mounter.hide(Path::new(path))), expected, "{path}");
    }
    assert_eq!(sandbox.ask("cat /proc/self/mountinfo; find /tmp /work"), before);
    assert_eq!(temp.list("data"), ["below", "one", "script"]);
}

/// A message says what to do, on one line, whatever the path.
#[test]
fn messages() {
    let refused = |step, errno: i32| Error::Refused {
        path: "/a\n\x1b[1m".into(),
        step,
        errno: Some(rustix::io::Errno::from_raw_os_error(errno)),
    };
    let text = refused(Step::Place, libc::ELOOP).to_string();
    assert!(text.contains("name the path that it leads to"), "{text}");
    assert!(text.chars().all(|c| !c.is_control()), "{text}");
}

/// The helper has the two capabilities that it needs (root's one more), can get no others, does not
/// let itself be looked into, and is not among the processes of the sandbox.
fn the_helper_is_confined(b: &Bwrap) {
    let mut sandbox = Sandbox::new(b);
    let pid = sandbox.mounter.id();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).expect(name);
        line.trim().to_owned()
    };
    let own = u64::from_str_radix(&field("CapEff:"), 16).expect("a mask");
    let expected = 1 << 18 | 1 << 21;
    assert!(own == expected || b.is_root() && own == expected | 1 << 2, "{own:x}");
    assert_eq!(field("CapPrm:"), field("CapEff:"));
    assert_eq!(field("CapInh:").trim_matches('0'), "");
    assert_eq!((field("NoNewPrivs:").as_str(), field("Threads:").as_str()), ("1", "1"));
    assert_eq!(field("Seccomp:"), "2");
    let fds = std::fs::read_dir(format!("/proc/{pid}/fd"));
    assert!(b.is_root() || fds.is_err(), "it can be looked into");
    let inside =
        sandbox.ask("ls /proc | grep -c '^[0-9]'; cat /proc/[0-9]*/cmdline | tr '\\0' ' '");
    assert!(!inside.contains(swathe_mounter::COMMAND), "{inside}");
    sandbox.show("/usr", "/x", Access::ReadOnly);
}

/// A helper that is killed, or that stops, or whose sandbox has ended, makes every later request an
/// error; it leaves no process. What was mounted stays while the sandbox runs.
fn ends(b: &Bwrap) {
    let temp = data(b);
    let gone = |pid: u32| !Path::new(&format!("/proc/{pid}")).exists();
    let one = temp.path().join("data/one");
    let show =
        |sandbox: &mut Sandbox| sandbox.mounter.show(&one, Path::new("/tmp/one"), Access::ReadOnly);
    let kill = |pid: u32, signal: i32| {
        // SAFETY: numbers only; the helper is the client's child, not yet waited for.
        unsafe { libc::kill(pid.cast_signed(), signal) };
    };

    let mut sandbox = Sandbox::new(b);
    let pid = sandbox.mounter.id();
    show(&mut sandbox).expect("at first");
    kill(pid, libc::SIGKILL);
    for _ in 0..2 {
        let result = show(&mut sandbox);
        assert!(matches!(result, Err(Error::Ended)), "{result:?}");
    }
    assert_eq!(sandbox.ask("cat /tmp/one"), "text of one");
    assert!(gone(pid));

    let mut sandbox = Sandbox::new(b);
    let pid = sandbox.mounter.id();
    sandbox.mounter.set_patience(Duration::from_millis(100));
    kill(pid, libc::SIGSTOP);
    let result = show(&mut sandbox);
    assert!(matches!(result, Err(Error::TimedOut)), "{result:?}");
    let result = show(&mut sandbox);
    assert!(matches!(result, Err(Error::Ended)), "{result:?}");
    assert!(gone(pid));

    let mut sandbox = Sandbox::new(b);
    let pid = sandbox.mounter.id();
    sandbox.child.kill().expect("kill");
    sandbox.child.wait().expect("wait");
    let result = show(&mut sandbox);
    assert!(matches!(result, Err(Error::Ended)), "{result:?}");
    assert!(gone(pid));

    let mut sandbox = Sandbox::new(b);
    let pid = sandbox.mounter.id();
    show(&mut sandbox).expect("at first");
    drop(sandbox);
    assert!(gone(pid));
}

/// On a host that shares its mounts: it hears of nothing, what it mounts later appears only below
/// what may be written to, and nothing is created in a temporary file system of its own. With a user
/// namespace and without. Only root can mount, so the user's half is not tried.
#[test]
fn a_host_that_mounts() {
    for user in [UserNamespace::New, UserNamespace::Implied] {
        let test = match user {
            UserNamespace::New => |b: &Bwrap| with_mounts_of_the_host(b, UserNamespace::New),
            _ => |b: &Bwrap| with_mounts_of_the_host(b, UserNamespace::Implied),
        };
        mounting::as_user(swathe_testkit::Who::Root, test);
    }
}

fn with_mounts_of_the_host(b: &Bwrap, user: UserNamespace) {
    use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags};
    // Of this thread alone.
    swathe_sys::process::unshare(rustix::thread::UnshareFlags::NEWNS).expect("unshare");
    let change = |flags| rustix::mount::mount_change("/", flags).expect("propagation");
    change(MountPropagationFlags::PRIVATE | MountPropagationFlags::REC);
    change(MountPropagationFlags::SHARED | MountPropagationFlags::REC);
    let temp = data(b);
    let mount = |name: &str| {
        let target = temp.at(name);
        rustix::mount::mount("none", target, "tmpfs", MountFlags::empty(), None).expect("mount");
    };
    temp.dir("memory");
    mount("memory");
    let table = || std::fs::read_to_string("/proc/thread-self/mountinfo").expect("mounts");
    let before = table();
    let memory = temp.path().join("memory");
    let with = |plan: &mut swathe::plan::Plan| plan.namespaces.user = user;
    let mut sandbox = Sandbox::with(b, |command| command.bind(&memory, "/work"), with);
    sandbox.show(temp.at("data"), "/read", Access::ReadOnly);
    sandbox.show(temp.at("data"), "/write", Access::ReadWrite);
    let one = temp.path().join("data/one");
    let result = sandbox.mounter.show(&one, Path::new("/work/new"), Access::ReadOnly);
    assert_eq!(step(result), (Step::CreateOnHost, 0));
    sandbox.hide("/work");
    assert_eq!(table(), before);
    mount("data/below");
    temp.file("data/below/later", "later\n");
    let said = sandbox.ask("ls /read/below /write/below");
    assert_eq!(said, "/read/below:\ntwo\n\n/write/below:\nlater");
    // What it has mounted since can be shown, and what it unmounts is not kept.
    sandbox.show(temp.at("data/below"), "/later", Access::ReadOnly);
    assert_eq!(sandbox.ask("cat /later/later"), "later");
    for name in ["data/below", "memory"] {
        rustix::mount::unmount(temp.at(name), UnmountFlags::DETACH).expect("unmount");
    }
    assert_eq!(sandbox.ask("ls /write/below"), "two");
}

/// The helper on its own, and what only a client of another kind could send: requests that make no
/// sense are refused one by one, too many descriptors as well, and nothing ends it but the end of its
/// socket, of its client or of the sandbox.
fn messages_of_others(b: &Bwrap) {
    let sandbox = Sandbox::new(b);
    let namespace = std::fs::File::open(format!("/proc/{}/ns/mnt", sandbox.pid())).expect("open");
    let lone = Command::new(mounting::program()).arg(swathe_mounter::COMMAND).status();
    assert_eq!(lone.expect("it runs").code(), Some(1));
    for ending in 0..3 {
        let mut helper = Helper::start(namespace.as_fd());
        assert_eq!(helper.hear(), Some(vec![0; 16]));
        let mut hide = vec![2, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        hide.extend(b"/tmp");
        let mut messages = vec![vec![0; 1], vec![0; 16], vec![255; 16], vec![1; 9000]];
        messages.extend((1..hide.len()).map(|len| hide[..len].to_vec()));
        let mut shown = hide.clone();
        shown[0] = 1;
        messages.push(shown);
        for message in messages {
            helper.send(&message, 0);
            let reply = helper.hear().expect("an answer");
            assert_eq!(reply[..8], [1, 0, 0, 0, 0, 0, 0, 0], "{message:?}");
        }
        for fds in [1, 5] {
            helper.send(&hide, fds);
            assert_eq!(helper.hear().expect("an answer")[..4], [1, 0, 0, 0], "{fds}");
        }
        helper.send(&hide, 0);
        assert_eq!(helper.hear().expect("an answer")[..9], [0, 0, 0, 0, 0, 0, 0, 0, 1]);
        match ending {
            0 => drop(helper.socket.take()),
            1 => drop(helper.client.take()),
            _ => drop(helper.sandbox.take()),
        }
        assert_eq!(helper.end(), Some(0), "{ending}");
    }
}

/// Where the namespace is not the caller's to change, or none at all, the helper does not start.
fn what_is_not_ours(b: &Bwrap) {
    let sandbox = Sandbox::new(b);
    let pidfd = sandbox.child.pidfd().expect("a pidfd");
    let start = |path: &str| {
        let file = std::fs::File::open(path).expect(path);
        Mounter::start(&mounting::program(), file.as_fd(), pidfd).map(|_| ())
    };
    assert_eq!(step(start("/dev/null")), (Step::JoinUser, libc::ENOTTY));
    assert_eq!(step(start("/proc/self/ns/mnt")), (Step::JoinUser, libc::EINVAL));
}

as_each_user! {
    shows_a_directory,
    shows_a_directory_to_write,
    shows_files,
    shows_what_is_mounted_below,
    a_read_only_root,
    hides,
    in_order,
    refuses,
    the_helper_is_confined,
    ends,
    what_the_host_replaces,
    another_object,
    shows_a_socket,
    messages_of_others,
    what_is_not_ours,
}
