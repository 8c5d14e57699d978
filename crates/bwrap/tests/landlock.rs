//! Rights on files by Landlock: `--landlock-handle` and `--landlock-allow`.

mod session;

use session::{Session, python};
use std::path::Path;
use swathe_testkit::{Bwrap, TempDir, notice};

/// Does what one right is for, at each place, and prints how that ended.
const TRY: &str = r#"
import os, sys, errno, stat, fcntl, socket
def rename(at):
    os.rename(at + '/a/x', at + '/b/x')
def ioctl(at):
    fd = os.open(at, os.O_RDONLY)
    fcntl.ioctl(fd, 0x5401, bytes(64))
def run(at):
    pid = os.fork()
    if pid == 0:
        try: os.execv(at + '/true', ['true'])
        except OSError as e: os._exit(e.errno)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code: raise OSError(code, '')
def node(kind):
    return lambda at: os.mknod(at + '/new', kind | 0o600)
ways = {
    'execute': run,
    'write-file': lambda at: os.open(at + '/file', os.O_WRONLY),
    'read-file': lambda at: os.open(at + '/file', os.O_RDONLY),
    'read-dir': os.listdir,
    'remove-dir': lambda at: os.rmdir(at + '/empty'),
    'remove-file': lambda at: os.unlink(at + '/file'),
    'make-char': node(stat.S_IFCHR),
    'make-dir': lambda at: os.mkdir(at + '/new'),
    'make-reg': node(stat.S_IFREG),
    'make-sock': node(stat.S_IFSOCK),
    'make-fifo': node(stat.S_IFIFO),
    'make-block': node(stat.S_IFBLK),
    'make-sym': lambda at: os.symlink('x', at + '/new'),
    'refer': rename,
    'truncate': lambda at: os.truncate(at + '/file', 0),
    'ioctl-dev': ioctl,
    'connect': lambda at: socket.socket(socket.AF_UNIX).connect('\0' + at),
}
for at in sys.argv[2:]:
    try:
        ways[sys.argv[1]](at)
        print('ok')
    except OSError as e:
        print(errno.errorcode[e.errno])
"#;

/// Everything that a way needs, in a directory of its own.
fn fill(temp: &TempDir, name: &str, uid: u32) -> String {
    let at = temp.path().join(name);
    for dir in ["", "a", "b", "empty"] {
        std::fs::create_dir(at.join(dir)).expect("a directory");
    }
    for file in ["file", "a/x"] {
        std::fs::write(at.join(file), "text").expect("a file");
    }
    std::fs::copy("/bin/true", at.join("true")).expect("a program");
    for part in ["", "a", "b", "empty", "file", "a/x", "true"] {
        std::os::unix::fs::chown(at.join(part), Some(uid), Some(uid)).expect("give it away");
    }
    at.to_str().expect("text").to_owned()
}

/// The words that allow a right where the interpreter needs it.
fn system(right: &str) -> String {
    let places = ["/usr", "/bin", "/lib", "/lib64", "/etc"].iter();
    let there = places.filter(|place| Path::new(place).exists());
    there.map(|place| format!(" --landlock-allow {right} {place}")).collect()
}

/// Whether this kernel has all rights, and the interpreter is there.
fn possible(b: &Bwrap) -> Option<&'static str> {
    let newest = b.run("--ro-bind / / --landlock-handle ioctl-dev --landlock-allow ioctl-dev /dev");
    let outcome = newest.arg("true").go();
    if outcome.message().contains("needs Landlock ABI") {
        notice("this kernel lacks Landlock, or rights of it: they are not tried");
        return None;
    }
    python()
}

/// Each right, handled and allowed at one place, is there below it and nowhere else.
fn each_right(b: &Bwrap) {
    let Some(python) = possible(b) else { return };
    // Devices are only for the machine's root, at the right place, too.
    let device = if b.is_root() { "ok" } else { "EPERM" };
    let cases = [
        ("execute", "ok", "EACCES"),
        ("write-file", "ok", "EACCES"),
        ("read-file", "ok", "EACCES"),
        ("read-dir", "ok", "EACCES"),
        ("remove-dir", "ok", "EACCES"),
        ("remove-file", "ok", "EACCES"),
        ("make-char", "", "EACCES"),
        ("make-dir", "ok", "EACCES"),
        ("make-reg", "ok", "EACCES"),
        ("make-sock", "ok", "EACCES"),
        ("make-fifo", "ok", "EACCES"),
        ("make-block", device, "EACCES"),
        ("make-sym", "ok", "EACCES"),
        ("refer", "ok", "EXDEV"),
        ("truncate", "ok", "EACCES"),
    ];
    for (right, allowed, refused) in cases {
        let temp = b.temp();
        let [good, bad] = ["in", "out"].map(|name| fill(&temp, name, b.uid()));
        let words = format!(
            "--dev-bind / / --landlock-handle {right} --landlock-allow {right} {good}{} {python} -ISc",
            system(right)
        );
        let outcome = b.run(&words).args([TRY, right, &good, &bad]).exits(0);
        let text = outcome.text();
        let (first, second) = text.split_once('\n').expect("two lines");
        // An unprivileged user may make a whiteout, which this is, on some file systems.
        let expected = if allowed.is_empty() { first != "EACCES" } else { first == allowed };
        assert!(expected && second == refused, "{right}: {outcome}");
    }
    // Without the options all of it is possible: the places are not to blame.
    let temp = b.temp();
    let at = fill(&temp, "in", b.uid());
    for right in ["execute", "refer", "truncate", "read-dir", "make-sock", "remove-dir"] {
        let run = b.run(&format!("--dev-bind / / {python} -ISc")).args([TRY, right, &at]);
        assert_eq!(run.prints(), "ok", "{right}");
    }
}

/// ioctl(2) on a device, of which the path is that of a file.
fn ioctls(b: &Bwrap) {
    let Some(python) = possible(b) else { return };
    let words = format!(
        "--dev-bind / / --landlock-handle ioctl-dev,read-dir --landlock-allow ioctl-dev /dev/null \
         --landlock-allow read-dir /usr {python} -ISc"
    );
    let seen = b.run(&words).args([TRY, "ioctl-dev", "/dev/null", "/dev/zero"]).prints();
    assert_eq!(seen, "ENOTTY\nEACCES");
}

/// Rights of several options add up; a path can be a file, a link, relative to the sandbox's root,
/// and something that only the sandbox has.
fn paths(b: &Bwrap) {
    if possible(b).is_none() {
        return;
    }
    let temp = b.temp();
    let at = fill(&temp, "in", b.uid());
    std::os::unix::fs::symlink(&at, temp.path().join("link")).expect("a link");
    std::fs::create_dir(temp.path().join("made")).expect("a directory");
    let (link, made) = (temp.at("link"), temp.at("made"));
    let script = format!(
        "t() {{ \"$@\" 2>/dev/null && echo yes || echo no; }}; cd {at}; t truncate -s 1 file; \
         t truncate -s 1 a/x; t mkdir new; t truncate -s 1 {made}/x; t mkdir {made}/y"
    );
    let all = "write-file,truncate,make-dir";
    for (allowed, expected) in [
        (String::new(), "no no no no no"),
        (format!("--landlock-allow {all} {at}/file"), "yes no no no no"),
        (format!("--landlock-allow make-dir {at}/file"), "no no no no no"),
        (format!("--landlock-allow {all} {link}"), "yes yes yes no no"),
        (format!("--landlock-allow {all} .{at}/a"), "no yes no no no"),
        (
            format!("--landlock-allow make-dir {at} --landlock-allow {all} {}", &made[1..]),
            "no no yes yes yes",
        ),
        (format!("--landlock-allow {all} /"), "yes yes yes yes yes"),
    ] {
        let words = format!(
            "--dev-bind / / --tmpfs {made} --file 9 {made}/x --landlock-handle write-file,truncate \
             --landlock-handle make-dir --landlock-allow write-file /dev/null {allowed}"
        );
        let run = b.run(&words).fd(9, swathe_testkit::data("x")).cwd("/usr").sh(&script);
        assert_eq!(run.prints().replace('\n', " "), expected, "{allowed}");
        let _ = std::fs::remove_dir(temp.path().join("in/new"));
    }
}

/// The domain holds in every shape of a sandbox, and for commands that are entered.
fn every_shape(b: &Bwrap) {
    if possible(b).is_none() {
        return;
    }
    let temp = b.temp();
    let [good, bad] = ["in", "out"].map(|name| fill(&temp, name, b.uid()));
    let handled = format!("--landlock-handle make-dir --landlock-allow make-dir {good}");
    let script = format!("mkdir {good}/new && rmdir {good}/new && ! mkdir {bad}/new");
    for options in [
        "",
        "--die-with-parent",
        "--unshare-pid",
        "--unshare-pid --as-pid-1",
        "--unshare-user --unshare-pid --cap-add ALL --info-fd 2",
        "--close-fds --new-session",
    ] {
        b.run(&format!("--dev-bind / / {options} {handled}")).sh(&script).exits(0);
    }
    let words = format!("--dev-bind / / --unshare-pid {handled}");
    let session = Session::start(b, &words, "sh -c", Some(&script));
    assert_eq!(session.wait().ended.shell(), 0);
    let session = Session::serve(b, &words);
    for _ in 0..2 {
        assert_eq!(session.run(&["sh", "-c", &script]).0, 0);
    }
    session.stop(0);
}

/// Rights and scopes are in one domain: each does what it does alone.
fn with_scopes(b: &Bwrap) {
    let Some(python) = possible(b) else { return };
    let scoped = b.run("--ro-bind / / --scope-abstract-sockets true").go();
    if scoped.errors().contains("Landlock") {
        notice("this kernel has no Landlock scopes: they are not tried with rights");
        return;
    }
    let temp = b.temp();
    let [good, bad] = ["in", "out"].map(|name| fill(&temp, name, b.uid()));
    let name = format!("swathe-landlock-{}-{}", std::process::id(), b.uid());
    let address = {
        use std::os::linux::net::SocketAddrExt as _;
        std::os::unix::net::SocketAddr::from_abstract_name(&name).expect("a name")
    };
    let _listener = std::os::unix::net::UnixListener::bind_addr(&address).expect("a socket");
    for (scope, reached) in [("", "ok"), ("--scope-abstract-sockets --scope-signals", "EPERM")] {
        let words = format!(
            "--dev-bind / / {scope} --landlock-handle make-dir --landlock-allow make-dir {good} \
             {python} -ISc"
        );
        let seen = b.run(&words).args([TRY, "connect", &name]).prints();
        assert_eq!(seen, reached, "{scope}");
        let seen = b.run(&words).args([TRY, "make-dir", &good, &bad]).prints();
        assert_eq!(seen, "ok\nEACCES", "{scope}");
        std::fs::remove_dir(temp.path().join("in/new")).expect("what was made");
    }
}

/// Inside the domain nothing can be mounted, whatever the capabilities.
fn no_mounts(b: &Bwrap) {
    if possible(b).is_none() {
        return;
    }
    let words =
        "--unshare-user --uid 0 --gid 0 --cap-add ALL --ro-bind / / --tmpfs /tmp --dev /dev";
    let script = "mount -t tmpfs x /tmp";
    b.run(words).sh(script).exits(0);
    let outcome = b.run(&format!("{words} --landlock-handle make-sym")).sh(script).go();
    assert_ne!(outcome.ended.shell(), 0, "{outcome}");
    assert!(outcome.errors().contains("permission denied"), "{outcome}");
}

/// What cannot be enforced, or means nothing, is refused, and nothing runs.
fn refusals(b: &Bwrap) {
    let run = |words: &str| b.run(&format!("--ro-bind / / {words} echo ran"));
    for (words, unknown) in [
        ("--landlock-handle write", "write"),
        ("--landlock-handle read-file,,execute", ""),
        ("--landlock-handle READ-FILE", "READ-FILE"),
        ("--landlock-handle read-file,net", "net"),
    ] {
        let message = format!("--landlock-handle: unknown right {unknown}");
        run(words).fails(&message);
    }
    run("--landlock-allow x /").fails("--landlock-allow: unknown right x");
    run("--landlock-allow execute /").fails("--landlock-allow requires --landlock-handle");
    run("--landlock-handle read-dir --landlock-allow read-dir,execute /")
        .fails("--landlock-allow gives a right that no --landlock-handle names");
    for (version, right, message) in [
        ("5.12", "make-sym", "make-sym needs Landlock ABI 1 (Linux 5.13): there is no Landlock"),
        ("5.18", "refer", "refer needs Landlock ABI 2 (Linux 5.19): this one has ABI 1"),
        (
            "6.1",
            "read-dir,truncate",
            "truncate needs Landlock ABI 3 (Linux 6.2): this one has ABI 2",
        ),
        ("6.9", "ioctl-dev", "ioctl-dev needs Landlock ABI 5 (Linux 6.10): this one has ABI 4"),
    ] {
        if possible(b).is_none() {
            break;
        }
        let words = format!("--assume-kernel {version} --landlock-handle {right}");
        run(&words).fails(&format!("--landlock-handle {message}"));
    }
    if possible(b).is_some() {
        for (path, error) in
            [("/no/such", "No such file or directory"), ("/etc/passwd/x", "Not a directory")]
        {
            for shape in ["", "--unshare-pid", "--unshare-pid --as-pid-1"] {
                let words = format!(
                    "{shape} --landlock-handle make-dir --landlock-allow make-dir / \
                     --landlock-allow make-dir {path}"
                );
                let message = format!("Can't allow rights at {path} (--landlock-allow): {error}");
                run(&words).fails(&message);
            }
        }
        run("--assume-kernel 5.19 --landlock-handle refer --landlock-allow refer /").exits(0);
    }
}

swathe_testkit::ours! {
    each_right,
    ioctls,
    paths,
    every_shape,
    with_scopes,
    no_mounts,
    refusals,
}
