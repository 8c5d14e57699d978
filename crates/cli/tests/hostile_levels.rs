//! Hostile programs against access levels: whatever they do, what a level keeps is kept, the
//! supervisor does nothing for them outside, and nobody but themselves waits or fails.

mod common;

use common::screen::Screen;
use common::{Place, installed};

/// A directory with a level in one that may be written to: what happens in the outer one is done
/// by the supervisor, too, since no rule of the kernel can allow it.
fn around(place: &Place) -> String {
    place.host("mkdir -p in; echo old >in/victim");
    format!("-w --allow files.dir={}:append", place.project("in"))
}

fn script(place: &Place, name: &str, text: &str) {
    place.dir.file(&format!("project/{name}"), text);
}

/// The lines of two runs that differ.
fn differences(plain: &str, other: &str) -> Vec<String> {
    assert!(plain.ends_with("left False"), "{plain}");
    let pairs = plain.lines().zip(other.lines()).filter(|(a, b)| a != b);
    let mut found: Vec<String> = pairs.map(|(a, b)| format!("{a} | {b}")).collect();
    if plain.lines().count() != other.lines().count() {
        found.push(format!("another number of lines: {other}"));
    }
    found
}

/// Some 340 calls with odd paths, flags, descriptors and addresses come to the same, to the number
/// of the error, whether the kernel does them or the supervisor.
fn same_answers(place: &Place) {
    if !installed("python3") {
        return;
    }
    script(place, "calls.py", include_str!("common/calls.py"));
    let options = around(place);
    let run = |options: &str| place.inside(options, "exec python3 calls.py 2>&1").prints();
    let plain = run("-w");
    assert_eq!(differences(&plain, &run(&options)), Vec::<String>::new());
    let kept = differences(&plain, &run("--allow files.cwd=trash"));
    // A whiteout replaces unseen; what was removed still has a name, in the trash.
    let known = ["rename flags 4", "rename flags 5", "into itself", "link unlinked"];
    let kept: Vec<&String> =
        kept.iter().filter(|line| !known.iter().any(|known| line.starts_with(known))).collect();
    assert!(kept.is_empty(), "{kept:#?}");
}

/// `/dev/tty` is the terminal of the sandbox, never that of who watches it.
fn terminal(place: &Place) {
    if !installed("python3") {
        return;
    }
    let options = around(place);
    script(
        place,
        "tty.py",
        "import fcntl, os, struct\n\
         def device(fd):\n\
         \x20   return struct.unpack('I', fcntl.ioctl(fd, 0x80045432, b'\\0' * 4))[0]\n\
         ours = device(0)\n\
         for flags in (os.O_RDWR, os.O_WRONLY, os.O_RDWR | os.O_CREAT, os.O_RDONLY):\n\
         \x20   for name in ('/dev/tty', '/dev/stdin', '/proc/self/fd/1', '/dev/console'):\n\
         \x20       try: print(name, flags, device(os.open(name, flags)) == ours)\n\
         \x20       except OSError as e: print(name, flags, e)\n\
         print('done')\n",
    );
    for options in [options.as_str(), "--allow files.cwd=append", "--allow files.cwd=trash"] {
        let screen = Screen::start(place, &format!("$SWATHE run {options} -- python3 tty.py"));
        let (ended, seen) = screen.end();
        assert_eq!(ended.ended.shell(), 0, "{seen}");
        assert!(seen.contains("done") && !seen.contains("False"), "{options}: {seen}");
        assert!(seen.contains("/dev/tty 2 True"), "{options}: {seen}");
    }
}

/// Files that come from outside by descriptors: what they permit, and no more.
fn descriptors_from_outside(place: &Place) {
    let options = around(place);
    place.host("echo outside >../given");
    let inner = "echo X >/proc/self/fd/0; echo X >>/dev/stdin; : >/dev/fd/0; \
                 echo out >/dev/stdout; echo two >>/proc/self/fd/1; echo err >/dev/stderr";
    let text = format!("$SWATHE run {options} -- sh -c '{inner}' <../given >../out 2>../err");
    place.outside(&text).exits(0);
    assert_eq!(place.host("cat ../given"), "outside");
    assert_eq!(place.host("cat ../out"), "out\ntwo");
    assert!(place.host("cat ../err").ends_with("err"), "{}", place.host("cat ../err"));
    // A file of the directory with the level.
    let text = format!("$SWATHE run {options} -- sh -c 'echo X >/proc/self/fd/0; :' <in/victim");
    place.outside(&text).exits(0);
    assert_eq!(place.host("cat in/victim"), "old");
}

/// What other processes of the sandbox have is theirs: nothing is opened for one that the kernel
/// would not open.
fn other_processes(place: &Place) {
    if !installed("python3") {
        return;
    }
    let options = around(place);
    script(
        place,
        "others.py",
        "import os\n\
         names = ['mem', 'oom_score_adj', 'clear_refs', 'comm', 'environ', 'cwd/x', 'setgroups',\n\
         \x20        'root/tmp/x', 'exe', 'uid_map', 'attr/exec', 'timers', 'sched', 'timerslack_ns']\n\
         for pid in ('1', 'self', str(os.getppid())):\n\
         \x20   for name in names:\n\
         \x20       for flags in (os.O_RDWR, os.O_WRONLY):\n\
         \x20           try: os.open('/proc/%s/%s' % (pid, name), flags); print(pid, name, flags, 'open')\n\
         \x20           except OSError as e: print(pid, name, flags, e.errno)\n\
         for name in ('net/ipv4/ip_forward', 'kernel/core_pattern', 'kernel/hostname', 'vm/drop_caches'):\n\
         \x20   try: os.open('/proc/sys/' + name, os.O_WRONLY); print(name, 'open')\n\
         \x20   except OSError as e: print(name, e.errno)\n",
    );
    // Its parent, a shell of the same, may be looked at by both.
    let run = |options: &str| place.inside(options, "python3 others.py; :").prints();
    assert_eq!(run("-w"), run(&options));
}

/// Descriptors have no rule of the kernel below the supervisor's: what cannot be looked at fails.
fn descriptors(place: &Place) {
    if !installed("python3") {
        return;
    }
    place.host("echo old >a");
    script(
        place,
        "attack.py",
        "import ctypes, fcntl, os, resource, socket, threading\n\
         libc = ctypes.CDLL(None, use_errno=True)\n\
         def attempt(fd):\n\
         \x20   for act in (lambda: fcntl.fcntl(fd, fcntl.F_SETFL, 0), lambda: os.ftruncate(fd, 0),\n\
         \x20               lambda: os.posix_fallocate(fd, 0, 1), lambda: os.pwrite(fd, b'X', 0)):\n\
         \x20       try: act()\n\
         \x20       except OSError: pass\n\
         def append(): return os.open('a', os.O_WRONLY | os.O_APPEND)\n\
         attempt(append())\n\
         libc.prctl(4, 0, 0, 0, 0)\n\
         try: attempt(append())\n\
         except OSError: pass\n\
         libc.prctl(4, 1, 0, 0, 0)\n\
         a, b = socket.socketpair()\n\
         socket.send_fds(a, [b'x'], [append()]); attempt(socket.recv_fds(b, 1, 1)[1][0])\n\
         def own_table():\n\
         \x20   libc.unshare(0x400); attempt(append())\n\
         t = threading.Thread(target=own_table); t.start(); t.join()\n\
         if os.fork() == 0: attempt(append()); os._exit(0)\n\
         os.wait()\n\
         # No number is left for a descriptor, and none that is high enough.\n\
         fd = append(); resource.setrlimit(resource.RLIMIT_NOFILE, (fd + 1, fd + 1))\n\
         try: print('opened', append())\n\
         except OSError as e: print(e.errno)\n\
         attempt(fd)\n",
    );
    assert_eq!(place.inside("--allow files.cwd=append", "python3 attack.py").prints(), "24");
    assert_eq!(place.host("head -1 a"), "old");
}

/// Length is not taken away by other names of truncating.
fn collapse(place: &Place) {
    if !installed("fallocate") {
        return;
    }
    place.host("head -c 1048576 /dev/zero >a; cp a b");
    let cut = "fallocate -c -o 0 -l 524288 b";
    if !place.host_run(cut).text().is_empty() || place.host("stat -c %s b") != "524288" {
        swathe_testkit::notice("no file system here shortens files by fallocate: left out");
        return;
    }
    for level in ["no-delete", "append"] {
        place.inside(&format!("--allow files.cwd={level}"), &cut.replace('b', "a")).go();
        assert_eq!(place.host("stat -c %s a"), "1048576", "{level}");
    }
}

/// The program's own limit of file sizes counts, with its signal, whoever makes the file longer.
fn file_sizes(place: &Place) {
    if !installed("python3") {
        return;
    }
    place.host("mkdir kept; echo old >kept/a; echo old >a");
    script(
        place,
        "size.py",
        "import os, resource, signal, sys\n\
         got = []\n\
         signal.signal(signal.SIGXFSZ, lambda *_: got.append('signal'))\n\
         resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))\n\
         def attempt(what):\n\
         \x20   try: what(); said = 'fine'\n\
         \x20   except OSError as e: said = e.errno\n\
         \x20   print(said, got); got.clear()\n\
         new = os.open('new', os.O_WRONLY | os.O_CREAT)\n\
         old = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND)\n\
         for fd in (new, old):\n\
         \x20   for size in (900, 1000, 1001, 1 << 40, 5000):\n\
         \x20       attempt(lambda: os.ftruncate(fd, size))\n\
         attempt(lambda: os.truncate('new', 1001))\n\
         attempt(lambda: os.truncate('new', 1000))\n\
         print(os.fstat(new).st_size, os.fstat(old).st_size)\n\
         signal.signal(signal.SIGXFSZ, signal.SIG_DFL)\n\
         print('last', flush=True); os.ftruncate(new, 1001); print('no')\n",
    );
    let run = |options: &str, file: &str| {
        let ran = place.inside(options, &format!("python3 size.py {file}; echo $?")).go();
        place.host("rm new; echo old >a; echo old >kept/a");
        ran.text()
    };
    let plain = run("-w", "a");
    assert!(plain.contains("27 ['signal']") && plain.ends_with("last\n153"), "{plain}");
    let kept = format!("-w --allow files.dir={}:no-delete", place.project("kept"));
    assert_eq!(run(&kept, "kept/a"), plain);
}

/// Mount points stay: the supervisor's own kernel side does not know of them.
fn mount_points(place: &Place) {
    place.host("mkdir -p in out/deep/kept; echo old >in/victim; echo old >out/deep/kept/victim");
    let options =
        around(place) + &format!(" --allow files.dir={}:no-delete", place.project("out/deep/kept"));
    let text = "for act in 'rmdir in' 'mv in x' 'mv -T out/deep in' 'mv --exchange in out' 'rm -rf in' \
                'rm -rf out' 'mv -T out/deep/kept in' 'ln in/victim y' 'mv in/victim y' 'ln -f in/victim out/y' \
                'mv out/deep moved' 'rm -rf out' 'rm out/deep/kept/victim' 'mv out/deep/kept/victim z' \
                'truncate -s 0 out/deep/kept/victim' 'rmdir out/deep/kept' 'mv out/deep/kept in/' \
                'cp in/victim out/deep/kept/victim'; do \
                $act; done 2>/dev/null; echo x >out/deep/kept/new && cat out/deep/kept/new";
    assert_eq!(place.inside(&options, text).prints(), "x");
    let kept = "cat in/victim out/deep/kept/victim out/deep/kept/new";
    assert_eq!(place.host(kept), "old\nold\nx");
}

const C_HEAD: &str = "#define _GNU_SOURCE\n";

/// Compiles a program of the tests; false: there is no compiler.
fn compiled(place: &Place) -> bool {
    if !installed("cc") {
        return false;
    }
    let text = C_HEAD.to_owned() + include_str!("common/hostile.c");
    place.dir.file("project/hostile.c", text);
    place.host("cc -O2 -pthread -w -o hostile hostile.c");
    true
}

/// How much of each; more by hand.
fn rounds(usual: u32) -> u32 {
    let times = std::env::var("SWATHE_STORM").ok().and_then(|n| n.parse().ok()).unwrap_or(1);
    usual * times
}

/// Each of these ends with status 0 if everything came to what it should, and leaves the victim.
fn storms(place: &Place) {
    if !compiled(place) {
        return;
    }
    let options = around(place);
    place.host("mkdir t");
    let trash = format!("{options} --allow files.dir={}:trash", place.project("t"));
    for (kind, rounds) in [
        ("threads", rounds(200)),
        ("signals", rounds(3000)),
        ("killed", rounds(200)),
        ("storm", rounds(30_000)),
        ("leases", 3),
        ("pipes", 200),
        ("vfork", rounds(200)),
        ("handed", rounds(3000)),
    ] {
        for (options, dir) in [(&options, "."), (&trash, "t")] {
            let text = format!("./hostile {kind} {dir} {rounds} in/victim; cat in/victim");
            let ran = place.inside(options, &text).go();
            assert_eq!(ran.text(), "fine\nold", "{kind}, {options}: {ran}");
        }
    }
}

/// Waits for the first line of a program.
fn up(read: std::fs::File) {
    use std::io::BufRead as _;
    let mut line = String::new();
    std::io::BufReader::new(read).read_line(&mut line).expect("a line");
    assert_eq!(line, "up\n");
}

/// No call is allowed by a supervisor that is gone: of a run, whose program goes with it, and of a
/// session, whose programs stay.
fn supervisor_killed(place: &Place) {
    if !compiled(place) {
        return;
    }
    place.host("mkdir in; echo old >in/victim");
    let level = format!("--allow files.dir={}:append", place.project("in"));
    let hammer = "exec ./hostile hammer . 0 in/victim";
    for number in 0..rounds(12) {
        let pause = std::time::Duration::from_micros(u64::from(number) * 7919 % 30_000);
        let (read, write) = swathe_testkit::pipe();
        let running = place.inside(&level, hammer).fd(1, write).start();
        up(read);
        std::thread::sleep(pause);
        running.kill(libc::SIGKILL);
        assert_eq!(running.wait().ended.shell(), 137);
        assert_eq!(place.host("cat in/victim; ls in"), "old\nvictim");

        let seconds = pause.as_secs_f64();
        let ran = place.host(&format!(
            "$SWATHE session start {level} drill; trap '$SWATHE session stop drill' EXIT; \
             ( echo 0 >status; $SWATHE run --session drill -- ./hostile hammer . 0 in/victim >said || echo $? >status ) & \
             until grep -q up said 2>/dev/null; do sleep 0.01; done; sleep {seconds}; \
             for p in /proc/[0-9]*; do \
             test \"$(readlink $p/cwd)\" = \"$PWD\" || continue; \
             case \"$(tr '\\0' ' ' <$p/cmdline)\" in *'swathe __supervise ') kill -9 ${{p#/proc/}} && echo one;; esac; done 2>/dev/null; wait; cat said status; rm said; \
             $SWATHE run --session drill -- sh -c 'echo x >>in/victim; rm in/victim; echo y >in/victim; cat in/victim' \
             2>/dev/null || :; cat in/victim"
        ));
        assert!(ran.starts_with("one\nup\nfine\n0\n") && !ran.contains(['x', 'y']), "{ran}");
    }
    assert_eq!(place.host("cat in/victim; ls in"), "old\nvictim");
}

both!(
    supervisor_killed,
    same_answers,
    terminal,
    descriptors_from_outside,
    other_processes,
    descriptors,
    collapse,
    file_sizes,
    mount_points,
    storms,
);
