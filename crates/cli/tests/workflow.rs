//! What still works beside protected paths, and what is left of a run on the host: nothing.

mod common;

use common::Place;

/// Git, as people and agents use it with `-w`.
const WORKS: &[(&str, &str)] = &[
    ("status", "test -z \"$(git status --porcelain)\""),
    ("commit", "echo two >>file; git commit -q -a -m two; git log --oneline | grep two"),
    (
        "add and commit",
        "echo new >new; git add -A; git commit -q -m new; git show --stat | grep new",
    ),
    ("switch and branch", "git switch -q -c topic; git branch -a | grep topic; git switch -q main"),
    ("checkout", "git checkout -q -b b; git checkout -q -"),
    ("stash", "echo x >>file; git stash -q; git stash pop -q; git checkout -q file"),
    (
        "merge",
        "git switch -q -c m; echo m >m; git add m; git commit -q -m m; git switch -q main; git merge -q m",
    ),
    (
        "rebase",
        "git switch -q -c r; echo r >r; git add r; git commit -q -m r; git switch -q main; \
        echo s >s; git add s; git commit -q -m s; git switch -q r; git rebase -q main; git log --oneline | grep ' s'",
    ),
    (
        "cherry-pick and tag",
        "git tag t; echo c >c; git add c; git commit -q -m c; c=$(git rev-parse HEAD); \
        git switch -q -c d t; git cherry-pick $c >/dev/null",
    ),
    ("reset and clean", "echo z >z; git reset -q --hard; git clean -q -f; test ! -e z"),
    (
        "fetch",
        "git clone -q . remote; (cd remote; echo f >f; git add f; git commit -q -m f); git fetch -q ./remote main; \
        git merge -q FETCH_HEAD; test -e f; rm -rf remote",
    ),
    (
        "worktree add",
        "git worktree add -q wt; cd wt; echo w >w; git add w; git commit -q -m w; cd ..; \
        git worktree remove wt; git branch -D wt >/dev/null",
    ),
    (
        "clone and init below",
        "git clone -q . cl; git -C cl status >/dev/null; git init -q i; rm -rf cl i",
    ),
    ("gc", "git gc -q; git fsck"),
    ("add all", "git add . && test -z \"$(git status --porcelain)\""),
];

fn git_works(place: &Place) {
    place.repository();
    for (name, text) in WORKS {
        place.host("git switch -q main");
        let ran = place.inside("-w", &format!("set -e; {text}")).go();
        assert_eq!(ran.ended.shell(), 0, "{name}: {ran}");
        assert_eq!(place.host("git status --porcelain --ignored"), "", "{name}");
    }
    assert!(place.host("git log --format=%an%ae -1").contains("Adaada@example.org"));
}

/// In a linked work tree, a submodule and a bare repository, too.
fn git_works_elsewhere(place: &Place) {
    place.host(
        "mkdir r; cd r; git init -q -b main; echo 1 >file; git add file; git commit -q -m one; \
         git worktree add -q ../wt; git clone -q --bare . ../bare; git init -q -b main ../super; cd ../super; \
         git -c protocol.file.allow=always submodule -q add ../r sub; git commit -q -m sub",
    );
    // The repository of a linked work tree or submodule is elsewhere: it has to be asked for.
    let project = place.project("");
    for (directory, allow, text) in [
        ("wt", "r/.git", "echo 2 >>file; git commit -q -a -m two; git log --oneline | grep two"),
        (
            "super/sub",
            "super/.git",
            "echo 2 >>file; git commit -q -a -m two; git status >/dev/null",
        ),
        (
            "super",
            "",
            "cd sub; echo 3 >>file; git commit -q -a -m 3; cd ..; git commit -q -a -m up",
        ),
        (
            "bare",
            "",
            "git log --oneline; git branch b; git worktree add -q w main; rm -rf w; git worktree prune",
        ),
    ] {
        let allow = match allow {
            "" => String::new(),
            allow => format!("--allow files.dir={project}/{allow}:rw"),
        };
        let run = place.inside(&format!("-w {allow}"), &format!("set -e; {text}"));
        let ran = run.cwd(place.project(directory)).go();
        assert_eq!(ran.ended.shell(), 0, "{directory}: {ran}");
    }
}

/// Without `-w` git reads, and writes nothing.
fn git_reads(place: &Place) {
    place.repository();
    place.host("echo two >>file");
    let before = place.tree();
    assert!(place.inside("", "git status; git diff; git log").prints().contains("+two"));
    let ran = place.inside("", "git commit -a -m x").go();
    assert!(ran.errors().contains("Read-only file system"), "{ran}");
    assert_eq!(place.tree(), before);
}

/// Each protection is lifted by its name, and by that alone.
fn lifted(place: &Place) {
    place.repository();
    let write = |options: &str, path: &str| {
        let text = format!("mkdir -p \"$(dirname {path})\" && echo '#x' >>{path}");
        place.inside(&format!("-w {options}"), &text).go().ended.shell() == 0
    };
    for (name, path) in [
        ("git-hooks", ".git/hooks/post-commit"),
        ("git-config", ".git/config"),
        ("direnv", ".envrc"),
        ("editor", ".vscode/tasks.json"),
        ("agent", ".claude/settings.json"),
        ("agent", ".mcp.json"),
    ] {
        let others: &[&str] = &["git-hooks", "git-config", "direnv", "editor", "agent"];
        let others: String =
            others.iter().filter(|o| **o != name).map(|o| format!("--unprotect {o} ")).collect();
        assert!(!write("", path), "{path} is not protected");
        assert!(!write(&others, path), "{path} is protected by another name than {name}");
        assert!(place.dir.read(&format!("project/{path}")).is_none_or(|text| !text.contains("#x")));
        assert!(write(&format!("--unprotect {name}"), path), "{path} by {name}");
        assert!(place.dir.read(&format!("project/{path}")).is_some_and(|text| text.contains("#x")));
    }
    assert!(write("--unprotect all", ".idea/x"));
    let ran = place.inside("-w --unprotect nonsense", "true").exits(1);
    assert!(ran.errors().contains("git-hooks, git-config"), "{ran}");
}

/// A repository cannot be made where none was: git says so, and with the protection lifted it can.
fn no_new_repository(place: &Place) {
    let ran = place.inside("-w", "git init").go();
    assert_ne!(ran.ended.shell(), 0, "{ran}");
    assert!(
        ran.errors().contains(".git") && ran.errors().contains("ermission denied")
            || ran.errors().contains("Read-only"),
        "{ran}"
    );
    assert_eq!(place.tree(), ".");
    place
        .inside("-w --unprotect git-hooks --unprotect git-config", "git init -q; git status")
        .exits(0);
    assert!(place.dir.path().join("project/.git/HEAD").exists());
}

/// Who starts inside a protected path does not get it writable by that.
fn inside_a_protected_path(place: &Place) {
    place.repository();
    place.host("mkdir -p .vscode/x");
    for directory in [".git/hooks", ".git/refs", ".vscode", ".vscode/x"] {
        let ran = place.inside("-w", "true").cwd(place.project(directory)).exits(1);
        assert!(ran.message().contains("is inside a protected path"), "{ran}");
        assert!(ran.errors().contains("--unprotect"), "{ran}");
        place.inside("", "true").cwd(place.project(directory)).exits(0);
    }
    place.inside("-w --unprotect git-hooks", ">x").cwd(place.project(".git/hooks")).exits(0);
}

/// While a sandbox runs, programs of the host that find its placeholders work as before.
fn the_host_goes_on(place: &Place) {
    place.repository();
    place.host("mkdir sub");
    for (directory, check) in [
        (
            "",
            "git status >/dev/null; echo 2 >>file; git commit -q -a -m 2; git switch -q -c b; \
            git worktree add -q ../wt; git -C ../wt status >/dev/null; git worktree list; git gc -q; \
            git config a.b c; . ./.envrc; ls .vscode .claude; cat .mcp.json; node -e 'require(\"./.mcp.json\")' || true",
        ),
        ("sub", "git status >/dev/null; git log --oneline; . ./.envrc"),
    ] {
        let text = format!(
            "set -e; cd ./{directory}; mkfifo $HOME/up; \
             \"$SWATHE\" run -w -- sh -c 'echo up; cat' <$HOME/up >up.out & exec 3>$HOME/up; \
             until grep -q up up.out; do sleep 0.05; done; {check}; exec 3>&-; wait; rm $HOME/up up.out"
        );
        let ran = place.outside(&text).exits(0);
        assert!(!ran.errors().contains("fatal"), "{ran}");
    }
    assert_eq!(
        place
            .host("find . -name .vscode -o -name .envrc -o -name commondir -path ./.git/commondir"),
        ""
    );
}

/// Nothing is left of a run, whoever of it is killed when.
fn no_residue(place: &Place) {
    place.repository();
    place.host("mkdir other; git init -q nested; ln -s nowhere .claude");
    let before = place.tree();
    let wait = "\"$SWATHE\" run -w -- sh -c 'echo up; exec sleep 100' >$HOME/up & swathe=$!; \
        until grep -q up $HOME/up; do sleep 0.02; done; engine=$(cat /proc/$swathe/task/$swathe/children); \
        test -d .vscode; test -e .git/commondir; ";
    let gone = "wait $swathe || true; for i in $(seq 500); do test -e .git/commondir || test -d .vscode || break; sleep 0.02; done";
    for (what, kill) in [
        ("end", "kill -TERM $swathe"),
        ("swathe", "kill -KILL $swathe"),
        ("engine", "kill -KILL $engine"),
        ("both", "kill -KILL $swathe $engine"),
        (
            "by name",
            "\"$SWATHE\" kill --now $(\"$SWATHE\" ps --json | grep -o '\"id\": \"[^\"]*' | cut -d '\"' -f 4)",
        ),
    ] {
        for directory in [".", "other"] {
            let text = format!(
                "cd {directory}; {}; {kill}; {gone}",
                match directory {
                    "." => wait.to_owned(),
                    _ => wait.replace("test -e .git/commondir", "test -d .git"),
                }
            );
            place.outside(&text).go();
            assert_eq!(place.tree(), before, "{what} in {directory}");
        }
    }
    let ran = place.swathe("ps").prints();
    assert!(ran.contains("no sandbox"), "{ran}");
}

/// Runs in the same directory at the same time: each is protected until its own end.
fn at_once(place: &Place) {
    place.repository();
    let before = place.tree();
    let attack = "for n in .envrc .vscode/x .git/hooks/pre-push .git/commondir; do \
        { echo >$n; } 2>/dev/null && echo OPEN $n; done; git status --porcelain";
    // At the same time; and many short ones, each of which begins while others end.
    for text in [
        "for i in 1 2 3 4 5 6 7 8; do \"$SWATHE\" run -w -- sh -c \"sleep 0.$i; $ATTACK\" & done; wait",
        "for i in 1 2 3 4 5 6 7 8; do \
            for n in $(seq 12); do \"$SWATHE\" run -w -- sh -c \"$ATTACK\" || echo $?; done & done; wait",
    ] {
        let ran = place.outside(text).env("ATTACK", attack).exits(0);
        assert_eq!((ran.text(), ran.errors()), (String::new(), String::new()), "{ran}");
        assert_eq!(place.tree(), before);
    }
}

/// Placeholders that another run is about to remove, or has not written yet, are in nobody's way.
fn halfway(place: &Place) {
    place.repository();
    let before = place.tree();
    // Whoever removes one has it locked, and may be kept from it for a while.
    for make in ["echo '#' >.envrc; chmod 1444 .envrc", "mkdir .envrc; chmod 1555 .envrc"] {
        let text = format!(
            "set -e; {make}; exec 9<.envrc; flock -x 9; mkfifo ../started; \
             (echo >../started; exec \"$SWATHE\" run -w -- sh -c 'echo x >.envrc') 9<&- & run=$!; \
             read x <../started; rm ../started; sleep 0.5; rm -r .envrc; exec 9<&-; wait $run || echo $?"
        );
        let ran = place.outside(&text).exits(0);
        assert_eq!(ran.text(), "2", "{make}: {ran}");
        assert!(ran.errors().contains("cannot create .envrc"), "{make}: {ran}");
        assert_eq!(place.tree(), before, "{make}");
    }
    // It says nothing of another repository.
    place.host("mkdir hooks; git config core.hooksPath hooks; : >.git/commondir; chmod 1444 .git/commondir");
    let text = "git status --porcelain; echo x >hooks/pre-commit";
    let ran = place.inside("-w", text).go();
    assert_eq!(ran.text(), "", "{ran}");
    assert!(ran.errors().contains("hooks/pre-commit: Read-only"), "{ran}");
    assert!(!ran.errors().contains("fatal"), "{ran}");
}

both! {
    git_works,
    git_works_elsewhere,
    git_reads,
    lifted,
    no_new_repository,
    inside_a_protected_path,
    the_host_goes_on,
    no_residue,
    at_once,
    halfway,
}
