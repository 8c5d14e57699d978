//! Access finer than writable or not: what each level permits and refuses, and ways around it.

mod common;

use common::{Place, installed, tried};

fn tree(place: &Place) {
    place.host("echo old >a; echo two >b; mkdir -p d/e; echo x >d/f; ln -s a link; mkfifo pipe");
}

fn append(place: &Place) {
    tree(place);
    tried(
        place,
        "--allow files.cwd=append",
        &[
            ("cat a", true),
            ("echo more >>a", true),
            ("echo more >>link", true),
            ("echo more >>$PWD/d/../a", true),
            ("cd d && echo more >>../a", true),
            ("echo new >new && test $(cat new) = new", true),
            ("echo again >new", false),
            ("echo over >a", false),
            ("echo over >link", false),
            (": >>made && test -e made", true),
            ("mkdir n && echo y >n/y && ln a n/a && ln -s /nowhere n/l", true),
            ("rm a", false),
            ("rm link", false),
            ("rmdir d/e", false),
            ("mv a c", false),
            ("mv b a", false),
            ("mv d/f .", false),
            ("truncate -s 0 a", false),
            ("dd if=/dev/null of=a conv=notrunc", false),
            ("exec 3<>a", false),
            ("(umask 077; : >private) && test $(stat -c %a private) = 600", true),
            ("echo x >d/f/g", false),
            ("echo x >missing/g", false),
            ("sh -c \"cat pipe >/dev/null & echo x >pipe; wait\"", true),
            // The places of the sandbox itself are not touched by it.
            ("echo 1 >~/f && echo 2 >~/f && mv ~/f ~/g && ln ~/g ~/h && rm ~/g ~/h", true),
            ("echo 1 >/tmp/f && echo 2 >/tmp/f && mv /tmp/f /tmp/g && rm /tmp/g", true),
            ("mkdir ~/n && : >~/n/f && truncate -s 9 ~/n/f && rm -r ~/n", true),
            ("mv a ~/a", false),
            ("ln a ~/a", false),
        ],
    );
    assert_eq!(place.host("head -1 a; cat b"), "old\ntwo");
    assert_eq!(place.host("grep -c more a"), "4");
}

fn no_delete(place: &Place) {
    tree(place);
    tried(
        place,
        "--allow files.cwd=no-delete",
        &[
            ("echo more >>a", true),
            ("dd if=/etc/hostname of=b conv=notrunc", true),
            ("exec 3<>a", true),
            ("echo new >new", true),
            ("echo over >a", false),
            ("truncate -s 0 a", false),
            ("truncate -s 3 a", false),
            (": >fresh && truncate -s 0 fresh && truncate -s 9 fresh", true),
            ("test $(stat -c %s fresh) = 9 && ! truncate -s 8 fresh", true),
            ("sort a -o sorted && split -l 1 a part.", true),
            ("rm a", false),
            ("mv a c", false),
            ("mv d/f .", false),
            ("rmdir d/e", false),
            ("mkdir n && ln a n/a", true),
            ("echo 1 >~/f && echo 2 >~/f && mv ~/f ~/g && rm ~/g", true),
        ],
    );
}

/// The most specific path wins, in either direction, and a hole in a stricter directory is one.
fn nested(place: &Place) {
    place.host("mkdir -p in/log in/work; echo old >in/f; echo old >in/log/f; echo old >in/work/f");
    let allow =
        |path: &str, access: &str| format!("--allow files.dir={}:{access} ", place.project(path));
    let options = allow("in", "no-delete") + &allow("in/log", "append") + &allow("in/work", "rw");
    tried(
        place,
        &options,
        &[
            ("rm in/f", false),
            ("echo x >in/f", false),
            ("exec 3<>in/f", true),
            ("truncate -s 0 in/f", false),
            ("echo x >>in/log/f", true),
            ("exec 3<>in/log/f", false),
            ("rm in/log/f", false),
            ("echo x >in/work/f", true),
            ("mv in/work/f in/work/g && rm in/work/g", true),
            ("mv in/f in/work/f", false),
            ("echo x >in/new", true),
        ],
    );
    assert_eq!(place.host("cat in/f; head -1 in/log/f"), "old\nold");
}

/// Calls that get around `O_APPEND`, and around paths; each would change the first byte.
const ATTACKS: &str = r#"
import ctypes, fcntl, mmap, os
libc = ctypes.CDLL(None, use_errno=True)
def call(n, *a):
    r = libc.syscall(ctypes.c_long(n), *a)
    if r < 0: raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return r
X86 = os.uname().machine == 'x86_64'
def noappend():
    fd = os.open('a', os.O_WRONLY | os.O_APPEND)
    os.pwritev(fd, [b'X'], 0, 0x20)
def setfl():
    fd = os.open('a', os.O_WRONLY | os.O_APPEND)
    fcntl.fcntl(fd, fcntl.F_SETFL, 0)
    os.pwrite(fd, b'X', 0)
def ftruncate():
    fd = os.open('a', os.O_WRONLY | os.O_APPEND)
    os.ftruncate(fd, 0)
def punch():
    fd = os.open('a', os.O_WRONLY | os.O_APPEND)
    call(285 if X86 else 47, fd, 3, ctypes.c_long(0), ctypes.c_long(4096))
def zero():
    fd = os.open('a', os.O_WRONLY | os.O_APPEND)
    call(285 if X86 else 47, fd, 0x10, ctypes.c_long(0), ctypes.c_long(4096))
def old_punch():
    import struct
    fd = os.open('a', os.O_WRONLY | os.O_APPEND)
    fcntl.ioctl(fd, 0x4030582b, struct.pack('hhqqiI16x', 0, 0, 0, 4096, 0, 0))
def exchange_blocks():
    import struct
    fd = os.open('a', os.O_WRONLY | os.O_APPEND)
    own = os.open('blocks', os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    os.write(own, b'X' * 4096)
    os.fsync(own); os.fsync(fd)
    try: fcntl.ioctl(own, 0xc028660f, struct.pack('IIQQQQ', 0, fd, 0, 0, 1, 0))
    finally:
        os.unlink('blocks')
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
def reopen():
    fd = os.open('a', os.O_WRONLY | os.O_APPEND)
    os.pwrite(os.open('/proc/self/fd/%d' % fd, os.O_WRONLY), b'X', 0)
def reopen_path():
    fd = os.open('a', os.O_PATH)
    os.pwrite(os.open('/proc/thread-self/fd/%d' % fd, os.O_RDWR), b'X', 0)
def mapped():
    fd = os.open('a', os.O_RDWR | os.O_APPEND)
    m = mmap.mmap(fd, 1); m[0:1] = b'X'; m.flush()
def mapped_write_only():
    fd = os.open('a', os.O_WRONLY | os.O_APPEND)
    m = mmap.mmap(fd, 1, prot=mmap.PROT_WRITE); m[0:1] = b'X'; m.flush()
def trunc():
    os.open('a', os.O_WRONLY | os.O_APPEND | os.O_TRUNC)
def rdonly_trunc():
    os.open('a', os.O_RDONLY | os.O_TRUNC)
def tmpfile_over():
    fd = os.open('.', os.O_TMPFILE | os.O_RDWR, 0o600)
    os.write(fd, b'X')
    os.rename('/proc/self/fd/%d' % fd, 'a')
def exchange():
    open('mine', 'w').write('X')
    call(316 if X86 else 276, -100, b'mine', -100, b'a', 2)
def openat2():
    import struct
    how = struct.pack('QQQ', os.O_WRONLY, 0, 0)
    os.pwrite(call(437, -100, b'a', how, 24), b'X', 0)
def openat2_larger():
    import struct
    how = struct.pack('QQQQ', os.O_WRONLY, 0, 0, 0)
    os.pwrite(call(437, -100, b'a', how, 32), b'X', 0)
def copy():
    src = os.open('b', os.O_RDONLY)
    dst = os.open('a', os.O_WRONLY | os.O_APPEND)
    os.copy_file_range(src, dst, 1, 0, 0)
def clone():
    src = os.open('b', os.O_RDONLY)
    dst = os.open('a', os.O_WRONLY | os.O_APPEND)
    fcntl.ioctl(dst, 0x40049409, src)
def through_link():
    os.symlink('a', 'l%d' % os.getpid())
    os.pwrite(os.open('l%d' % os.getpid(), os.O_WRONLY), b'X', 0)
def through_hard_link():
    os.link('a', 'h%d' % os.getpid())
    os.pwrite(os.open('h%d' % os.getpid(), os.O_WRONLY), b'X', 0)
def out_and_in():
    os.link('a', os.environ['HOME'] + '/h')
    os.pwrite(os.open(os.environ['HOME'] + '/h', os.O_WRONLY), b'X', 0)
def cwd_of_pid_1():
    os.pwrite(os.open('/proc/1/cwd/a', os.O_WRONLY), b'X', 0)
def root_of_pid_1():
    os.pwrite(os.open('/proc/1/root' + os.path.abspath('a'), os.O_WRONLY), b'X', 0)
def own_root():
    os.pwrite(os.open('/proc/self/root' + os.path.abspath('a'), os.O_WRONLY), b'X', 0)
won = []
for f in [v for v in list(globals().values()) if callable(v) and getattr(v, '__module__', '') == '__main__' and v is not call]:
    try: f()
    except (OSError, ValueError): pass
    data = open('a', 'rb').read()
    if data[:4] != b'old\n': won.append(f.__name__)
print('won', *won)
"#;

fn ways_around_append(place: &Place) {
    if !installed("python3") {
        return;
    }
    place.host("echo old >a; echo two >b");
    place.dir.file("project/attacks.py", ATTACKS);
    // Without the level each of a handful wins: the attacks are ones.
    let control = place.inside("-w", "python3 attacks.py").prints();
    for name in ["setfl", "mapped", "ftruncate", "reopen", "openat2", "own_root", "trunc"] {
        assert!(control.contains(name), "{name} does not attack: {control}");
    }
    place.host("rm -f mine l[0-9]* h[0-9]*; echo old >a");
    assert_eq!(place.inside("--allow files.cwd=append", "python3 attacks.py").prints(), "won");
    assert_eq!(place.host("head -1 a"), "old");
}

/// Protected paths inside stay what they are.
fn protected(place: &Place) {
    place.repository();
    tried(
        place,
        "--allow files.cwd=append",
        &[
            ("echo x >>.git/config", false),
            ("echo x >.git/hooks/post-commit", false),
            ("echo x >.envrc", false),
            ("echo x >>.git/HEAD.new", true),
        ],
    );
}

/// What excludes each other is said, with the line.
fn refused(place: &Place) {
    for (with, text) in [
        ("--allow nested-sandbox", "nested-sandbox exclude each other"),
        ("--allow 32bit", "32bit exclude each other"),
    ] {
        let ran = place.inside(&format!("--allow files.cwd=append {with}"), "echo ran").go();
        assert_eq!(ran.ended.shell(), 1, "{ran}");
        assert!(ran.errors().contains(text), "{ran}");
        assert!(!ran.text().contains("ran"), "{ran}");
    }
}

/// Globs hide what matches, at any depth, and what they do not match stays visible.
fn hidden(place: &Place) {
    place.host(
        "mkdir -p a/b; for d in . a a/b; do echo key >$d/.env; echo key >$d/x.pem; echo n >$d/x.pub; done; \
         ln -s .env alias; echo odd >'a/[x].pem'; mkdir a/k.pem; echo in >a/k.pem/f",
    );
    let glob = |glob: &str| format!("--allow files.hide={}/{glob} ", place.project(""));
    let options = glob("**/.env") + &glob("a/**/*.pem");
    tried(
        place,
        &options,
        &[
            ("cat .env", false),
            ("cat a/.env", false),
            ("cat a/b/.env", false),
            ("cat alias", false),
            ("cat x.pem", true),
            ("cat a/x.pem", false),
            ("cat a/b/x.pem", false),
            ("cat a/\\[x\\].pem", false),
            ("cat a/k.pem/f", false),
            ("cat x.pub a/x.pub a/b/x.pub", true),
        ],
    );
    let ran = place.inside("--allow files.hide=**", "echo ran").go();
    assert!(ran.errors().contains("matches too much"), "{ran}");
}

/// What a program forbids itself the supervisor would do for it: where it acts, programs are told
/// that they cannot.
fn own_domains(place: &Place) {
    const RESTRICT: &str = r#"
import ctypes, os, struct
call = ctypes.CDLL(None, use_errno=True).syscall
REMOVE_FILE = 1 << 5
ruleset = call(444, struct.pack('QQQ', REMOVE_FILE, 0, 0), 8, 0)
print('no domain', ctypes.get_errno()) if ruleset < 0 else call(446, ruleset, 0)
ctypes.CDLL(None).prctl(38, 1, 0, 0, 0)
if ruleset >= 0 and call(446, ruleset, 0): print('not restricted')
try: os.unlink('x'); print('removed')
except OSError as e: print(e.errno)
"#;
    if !installed("python3") {
        return;
    }
    place.dir.file("project/restrict.py", RESTRICT);
    place.host("echo x >x");
    // Where the kernel has no Landlock there is nothing to be told.
    if place.inside("-w", "python3 restrict.py").prints() != "13" {
        swathe_testkit::notice(
            "programs cannot restrict themselves here: what they are told is left out",
        );
        return;
    }
    let said = place.inside("--allow files.cwd=trash", "python3 restrict.py").prints();
    assert_eq!(said, "no domain 95\nremoved");
}

both!(hidden, append, no_delete, nested, ways_around_append, protected, refused, own_domains);
