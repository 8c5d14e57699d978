//! Attacks on the life of a sandbox: stops, kills, callers that behave oddly.

use std::io::{Read as _, Write as _};
use std::time::{Duration, Instant};
use swathe_testkit::{Bwrap, Ended, Side, Terminal, contract, notice, pipe, usr};

/// Whether the other end of a pipe comes to its end within five seconds.
fn ends(mut pipe: std::fs::File) -> bool {
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut rest = Vec::new();
        let _ = pipe.read_to_end(&mut rest);
        let _ = tell.send(());
    });
    told.recv_timeout(Duration::from_secs(5)).is_ok()
}

/// The caller dies while the launcher is stopped (a shell's ^Z, or a command in the same pid
/// namespace): the sandbox ends all the same.
fn caller_of_a_stopped_launcher(b: &Bwrap) {
    for options in ["--unshare-pid", "--unshare-pid --proc /proc --cap-add ALL"] {
        let (read, write) = pipe();
        // The outer shell is the caller; a helper stops the launcher and kills the caller.
        let script = format!(
            "sh -c 'sh -c \"echo \\$\\$ >&8; exec \\\"\\$BWRAP\\\" {} {options} --die-with-parent sh -c \
            \\\"echo up >&9; exec 9>&-; sleep 30\\\"\"; true' & caller=$!
            read launcher <&7; read up <&6; kill -STOP $launcher; kill -KILL $caller; wait",
            usr()
        );
        let (pid_read, pid_write) = pipe();
        let (up_read, up_write) = pipe();
        let outcome = b
            .script(&script)
            .fd(6, up_read)
            .fd(7, pid_read)
            .fd(8, pid_write)
            .fd(9, up_write)
            .fd(5, write)
            .may_leave(Duration::from_secs(2))
            .go();
        assert!(ends(read), "the nanny has killed what was left: {outcome}");
        assert_eq!(outcome.left, 0, "survivors of the caller's death: {outcome}");
    }
}

/// A sandbox beside another one, in its pid namespace, where our own reaper is not pid 1: the end of
/// its launcher is the end of its command too.
fn beside_another(b: &Bwrap) {
    for extra in ["--sync-fd 4", "", "--unshare-pid"] {
        if b.side == Side::Original && extra == "--unshare-pid" {
            notice("the original's pid namespace below a joined one outlives its launcher");
            continue;
        }
        let temp = b.temp();
        let script = format!(
            "mkfifo $T/alive $T/up; \"$BWRAP\" {usr} --unshare-user --unshare-pid --info-fd 9 \
                sh -c 'echo ok >&8; exec sleep 30 8>&-' 9>&8 & first=$!
            read x <&7; read x n <&7; n=${{n%,}}; while [ \"$x\" != ok ]; do read x <&7; done
            exec 5< /proc/$n/ns/user 6< /proc/$n/ns/pid
            \"$BWRAP\" {usr} --userns 5 --pidns 6 {extra} --die-with-parent sh -c \
                'echo up >&9; exec sleep 30 9>&-' 4< /dev/null 3> $T/alive 9> $T/up & second=$!
            exec 4< $T/alive; read x < $T/up; echo $x; kill -KILL $second; wait $second
            timeout 15 cat <&4; echo $?; kill -KILL $first; wait",
            usr = usr()
        );
        let (read, write) = pipe();
        let outcome = b
            .script(&script)
            .env("T", temp.path())
            .fd(7, read)
            .fd(8, write)
            .may_leave(Duration::from_secs(1))
            .go();
        // The file that the command holds open comes to its end with the command.
        assert_eq!(outcome.text(), "up\n0", "{extra}: {outcome}");
    }
}

/// A session leader outside of the pid namespace is no reason to refuse: shells that somebody starts
/// in a container have one.
fn a_session_of_another_pid_namespace(b: &Bwrap) {
    let words = format!("{} --unshare-pid --die-with-parent echo fine", usr());
    let text = format!("unshare --pid --fork sh -c '$AS \"$BWRAP\" {words}; true'");
    let Some(run) = b.root_script(&text) else { return };
    assert_eq!(run.prints(), "fine");
}

/// With signals passed on, a launch that still waits can be ended by one, or the command gets it.
fn a_signal_before_the_command(b: &Bwrap) {
    if b.side == Side::Original {
        notice("the original passes no signals on");
        return;
    }
    for options in ["--unshare-pid", ""] {
        let (read, write) = pipe();
        let (mut up, up_write) = pipe();
        let words =
            format!("{} {options} --forward-signals --block-fd 8 --json-status-fd 9 sh -c", usr());
        let running = b.run(&words).arg("echo ran").fd(8, read).fd(9, up_write).start();
        let mut document = [0; 20];
        up.read_exact(&mut document).expect("the first document");
        running.kill(15);
        std::thread::sleep(Duration::from_millis(300));
        let mut write = write;
        let _ = write.write_all(b"x");
        drop(write);
        let outcome = running.wait();
        assert_ne!(outcome.ended, Ended::Exit(0), "the signal was lost: {outcome}");
        assert_eq!(outcome.text(), "", "{outcome}");
    }
}

/// A command that does not read its terminal does not keep the launcher from ending with it, nor
/// from noticing that the command has ended.
fn a_terminal_that_nobody_reads(b: &Bwrap) {
    if b.side == Side::Original {
        notice("the original makes no terminals");
        return;
    }
    let mut terminal = Terminal::open(b);
    let words = format!("{} --unshare-pid --dev /dev --proc /proc --pty sh -c", usr());
    let running = b
        .run(&words)
        .arg("stty raw -echo; echo go; sleep 1; exit 7")
        .fd(0, terminal.inner())
        .fd(1, terminal.inner())
        .fd(2, terminal.inner())
        .start();
    terminal.read_until("go");
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(700) {
        if terminal.outer.write(&[b'x'; 1000]).is_err() {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    let outcome = running.wait();
    assert_eq!(outcome.ended, Ended::Exit(7), "{outcome}");
}

/// A name below /dev/pts that stands for another terminal of the same number, as in a container
/// whose terminal was made outside, does not become the sandbox's console.
fn a_console_of_somebody_else(b: &Bwrap) {
    let words = format!("{} --dev /dev", usr());
    let text = format!(
        "number=$(readlink /proc/self/fd/7); number=${{number##*/}}
        mount -t tmpfs nodes /mnt && mknod -m 666 /mnt/node c 136 $number &&
        $AS \"$BWRAP\" {words} sh -c 'test -e /dev/console' >&7; echo $?
        mount --bind /mnt/node /dev/pts/$number &&
        $AS \"$BWRAP\" {words} sh -c 'test -e /dev/console' >&7; echo $?"
    );
    let terminal = Terminal::open(b);
    let Some(run) = b.root_script(&text) else { return };
    let outcome = run.fd(7, terminal.inner()).go();
    // The control: the terminal's own name does.
    assert_eq!(outcome.text(), "0\n1", "{outcome}");
}

contract! {
    caller_of_a_stopped_launcher,
    beside_another,
    a_session_of_another_pid_namespace,
    a_signal_before_the_command,
    a_terminal_that_nobody_reads,
    a_console_of_somebody_else,
}
