//! What the author of a project, or a run before, may have left for the next run.

mod common;

use common::screen::Screen;
use common::{LOOK, Place, installed, no_secret};

both!(
    venv_names_no_secret,
    program_names_no_secret,
    disguised_repository,
    stale_record,
    streams_of_sessions,
    swapped_directory,
    run_directory,
    few_descriptors,
    killed_at_any_moment,
    terminal_as_it_was,
    crowded_repository,
);

/// A venv's configuration names the directory of its Python: any directory that is none is not shown.
fn venv_names_no_secret(place: &Place) {
    let home = place.home("");
    for of in [".config/gh", ".ssh", ".aws"] {
        place.host(&format!(
            "mkdir -p v/bin && echo 'home = {home}/{of}/bin' >v/pyvenv.cfg && \
             printf '#!/bin/sh\\n%s\\necho end' '{look}' >v/bin/tool && chmod +x v/bin/tool",
            look = LOOK.replace('\'', "'\\''"),
        ));
        let ran = place.swathe("run v/bin/tool").go();
        assert!(ran.text().contains("end"), "{ran}");
        no_secret(&ran);
    }
}

/// A script's interpreter, and the libraries of a program in the directories that it names, are shown
/// where they are programs and libraries, and not when they are the user's keys.
fn program_names_no_secret(place: &Place) {
    let home = place.home("");
    place.host(&format!("printf '#!{home}/.ssh/id_ed25519\\n' >script && chmod +x script"));
    let mut programs = vec!["./script"];
    if installed("gcc") {
        place.host(&format!(
            "echo 'void _start(void) {{}}' >p.c && \
             gcc -shared -nostdlib -o id_ed25519 -x c /dev/null -Wl,-soname,id_ed25519 && \
             gcc -nostdlib -fPIE -pie -o program p.c -Wl,--no-as-needed,id_ed25519 \
             -Wl,-rpath,{home}/.ssh -Wl,--no-dynamic-linker && \
             gcc -nostdlib -fPIE -pie -o loaded p.c -Wl,--dynamic-linker={home}/.ssh/id_ed25519",
        ));
        programs.extend(["./program", "./loaded"]);
    }
    for program in programs {
        // What cannot start is refused, with the path that its author named; nothing is shown of it.
        let shown = place.swathe("explain --json --").arg(program).go();
        assert!(!shown.text().contains("/.ssh"), "{program}: {shown}");
    }
}

/// A run cannot hide a repository from the next one by giving it the mode of a placeholder.
fn disguised_repository(place: &Place) {
    place.host("git init -q . && git init -q below");
    place.inside("-w", "chmod 1555 below/.git").exits(0);
    place.inside("-w", "chmod 755 below/.git; echo x >below/.git/hooks/pre-commit").go();
    assert_eq!(place.host("ls below/.git/hooks | grep -v sample || :"), "");
}

/// The record of a session that was killed is longer than that of the next one of its name: that one
/// is listed and can be stopped.
fn stale_record(place: &Place) {
    let long = "long/".repeat(40);
    // What is left of a killed one is the record.
    place.host(&format!(
        "mkdir -p {long} && cd {long} && \"$SWATHE\" session start -w stale && \
         cp \"$XDG_RUNTIME_DIR/swathe/stale.json\" \"$XDG_RUNTIME_DIR/left\" && \
         \"$SWATHE\" session stop stale && mv \"$XDG_RUNTIME_DIR/left\" \"$XDG_RUNTIME_DIR/swathe/stale.json\"",
    ));
    let listed = place
        .host("\"$SWATHE\" session start stale; \"$SWATHE\" ps; \"$SWATHE\" session stop stale");
    assert!(listed.contains("stale"), "{listed}");
}

/// A command that enters a sandbox gets no directory of the caller's, and cannot write to a file
/// that it was given to read.
fn streams_of_sessions(place: &Place) {
    place.host("echo kept >\"$HOME/input\"");
    let text = format!(
        "\"$SWATHE\" session start streams
         for how in 'run --session' enter; do
             \"$SWATHE\" $how streams -- sh -c 'cat; : >/proc/self/fd/0' <\"$HOME/input\"
             \"$SWATHE\" $how streams -- sh -c '{look} cat /proc/self/fd/0/.ssh/*' <\"$HOME\" && echo let in
         done
         \"$SWATHE\" session stop streams; echo; cat \"$HOME/input\"",
        look = LOOK.replace('\'', "\"")
    );
    let ran = place.outside(&text).go();
    no_secret(&ran);
    assert_eq!(ran.text(), "kept\nkept\n\nkept", "{ran}");
}

/// While runs start in a directory, somebody exchanges it for a link to the user's keys, over and
/// over: what is shown is the directory, or nothing runs.
fn swapped_directory(place: &Place) {
    place.host("mkdir tree && echo mine >tree/file");
    let text =
        "(while :; do mv tree away; ln -s \"$HOME/.ssh\" tree; rm tree; mv away tree; done) &
        swapper=$!
        for n in $(seq 40); do
            (cd -P tree 2>/dev/null && case $(pwd -P) in *.ssh) ;; *)
                \"$SWATHE\" run sh -c 'cat * 2>/dev/null' ;; esac)
        done
        kill $swapper; wait";
    no_secret(&place.outside(text).go());
}

/// The records and sockets of running sandboxes are no project's files: who could write them could
/// have another process killed, and enter other sandboxes.
fn run_directory(place: &Place) {
    for text in [
        "cd \"$XDG_RUNTIME_DIR/swathe\" && \"$SWATHE\" run -w ls",
        "cd \"$XDG_RUNTIME_DIR/swathe\" && \"$SWATHE\" run ls",
        "\"$SWATHE\" run -a files.dir=\"$XDG_RUNTIME_DIR/swathe:rw\" ls \"$XDG_RUNTIME_DIR/swathe\"",
    ] {
        let text = format!(
            "\"$SWATHE\" session start other; ({text}); cd; \"$SWATHE\" session stop other"
        );
        let ran = place.outside(&text).exits(0);
        assert!(!ran.text().contains("other"), "{ran}");
        assert!(ran.errors().contains("records of running sandboxes"), "{ran}");
    }
}

/// Where a process may have few descriptors, it is said which limit is too low.
fn few_descriptors(place: &Place) {
    for limit in [64, 256] {
        let ran = place.outside(&format!("ulimit -n {limit}; \"$SWATHE\" run true")).go();
        assert_eq!(ran.ended.shell(), 1, "{ran}");
        assert!(ran.errors().contains("ulimit -n"), "{ran}");
    }
}

/// `swathe` killed at any moment of a start leaves no process behind, whoever adopts its children.
fn killed_at_any_moment(place: &Place) {
    let text = "of=4242
        for n in $(seq 60); do
            \"$SWATHE\" run -w sleep $of.77 >/dev/null 2>&1 & run=$!
            sleep 0.0$((n % 6))$((n % 10)); kill -9 $run; wait $run
        done 2>/dev/null
        for n in $(seq 600); do
            grep -q '4242[.]77' /proc/[0-9]*/cmdline 2>/dev/null || exit 0
            sleep 0.1
        done
        exit 1";
    place.outside(text).exits(0);
}

/// A program that gets the caller's terminal as one of its streams does not leave it in another mode.
fn terminal_as_it_was(place: &Place) {
    let start = "echo x | \"$SWATHE\" run -- sh -c \"stty raw -echo <&1; echo set\"; \
        stty -a | grep -o \"[-]icanon\"; echo done; sleep 1";
    let mut screen = Screen::start(place, start);
    screen.expect("set").expect("done");
    assert!(!screen.seen.contains("-icanon"), "{:?}", screen.seen);
    screen.end();
}

/// A run cannot hide a repository from the next one behind hundreds of directories.
fn crowded_repository(place: &Place) {
    place.host("git init -q below");
    place.inside("-w", "for n in $(seq 400); do mkdir 0$n; done").exits(0);
    place.inside("-w", "echo x >below/.git/hooks/pre-commit").go();
    assert_eq!(place.host("ls below/.git/hooks | grep -v sample || :"), "");
}
