//! What a review shows: marks, patches, names, for people and for programs.

use super::*;
use crate::both;

/// A tool of the user's shows both sides.
fn difftool(place: &Place) {
    place.host("echo 1 >f");
    place.inside("--cow", "echo 2 >f").exits(0);
    place.host("git config --global diff.tool mine; git config --global difftool.mine.cmd 'echo tool; cat \"$LOCAL\" \"$REMOTE\"'");
    assert_eq!(place.swathe("diff --tool").prints(), "tool\n1\n2");
    let long = "n".repeat(250);
    place.inside("--cow", &format!("echo long >{long}.c")).exits(0);
    assert_eq!(place.swathe(&format!("diff --tool {long}.c")).prints(), "tool\nlong");
    place.swathe("discard").exits(0);
    assert_eq!(place.swathe("diff --tool=other").env("PATH", "/nowhere").exits(1).text(), "");
}

/// The patch that is printed is one that `patch` takes.
fn patches(place: &Place) {
    if !installed("patch") {
        return;
    }
    place.host("mkdir d; seq 1 40 >d/text; printf 'no newline' >n; echo gone >gone; seq 1 9 >'of two words'");
    place.host("cp -r . ../copy");
    place.inside("--cow", "sed -i -e 3d -e 's/^30$/thirty/' d/text; printf 'more\nstill none' >n; rm gone; echo new >d/new; echo 10 >>'of two words'; echo 1 >'two more'").exits(0);
    let _ = place.host("\"$SWATHE\" diff >../patch; cd ../copy; patch -p1 <../patch");
    place.swathe("commit").exits(0);
    place.host("diff -r . ../copy");
}

/// Every change to every kind of file under names of every sort, printed, is what `git apply` makes
/// of it, but for what is no text.
fn patches_of_git(place: &Place) {
    let names = r#"names() { for n in plain 'two words' 'tab	in it' 'line
break' 'quo"te' 'back\slash' é "$(printf '\377')" 'trailing ' ' leading' -dash 'a b' '#'; do printf '%s\0' "$n"; done; }"#;
    let kinds = "text none empty exec link";
    let ops = "keep delete edit mode clear link dir file rename remode";
    let each = |text: &str| {
        format!(
            "{names}\nfor op in {ops}; do for kind in {kinds}; do mkdir -p $op/$kind; cd $op/$kind; \
             names | while IFS= read -r -d '' n; do {text}\ndone; cd ../..; done; done"
        )
    };
    // `read -d` is one of bash.
    let bash = |text: &str| format!("cat >../script <<'END'\nset -e\n{text}\nEND\nbash ../script");
    place.host(&bash(&each(
        r#"case $kind in
            text) seq 1 30 >"./$n"; echo "$op $n" >>"./$n";;
            none) printf 'of %s' "$op $n" >"./$n";;
            empty) : >"./$n";;
            exec) printf '#!/bin/sh\n# %s\n' "$op $n" >"./$n"; chmod 755 "./$n";;
            link) ln -s "to $n" "./$n";;
        esac"#,
    )));
    place.host("mkdir gone same; seq 9 >gone/a; seq 8 >gone/b; printf 'a\\0b' >binary; printf 'a\\0b' >moved; printf 'a\\0c' >bits; printf 'x\\0' >bye; chmod 700 same; chmod 600 bits; cp -a . ../copy");
    let script = each(
        r#"case $op in
            delete) rm "./$n";;
            edit) if [ -L "./$n" ]; then ln -sfn "other $n" "./$n"; else echo more >>"./$n"; fi;;
            mode) [ -L "./$n" ] || if [ -x "./$n" ]; then chmod 644 "./$n"; else chmod 755 "./$n"; fi;;
            remode) [ -L "./$n" ] || { chmod 755 "./$n"; printf 'all new' >"./$n"; };;
            clear) [ -L "./$n" ] || : >"./$n";;
            link) rm "./$n"; ln -s ../anew "./$n";;
            dir) rm "./$n"; mkdir "./$n"; echo in >"./$n/$n"; : >"./$n/empty";;
            file) rm "./$n"; printf 'a file\nof two lines' >"./$n";;
            rename) mv "./$n" "./$n to"; [ -L "./$n to" ] || chmod 755 "./$n to";;
        esac
        if [ "$op" = keep ]; then echo new >"./$n n"; : >"./$n e"; ln -s -- "$n" "./$n l"; mkdir -p "./$n d"; cp "./$n n" "./$n d/$n"; chmod 755 "./$n d/$n"; fi"#,
    ) + "\nrm -r gone; echo now a file >gone; rm -r same; mkdir same; printf 'b\\0a' >binary; mv moved elsewhere; chmod 755 bits; rm bye; mkfifo pipe; mkdir void";
    place.outside(&format!("cat >../inside <<'END'\nset -e\n{script}\nEND")).exits(0);
    let text = place.dir.at("inside");
    place.inside(&format!("--cow --allow files.dir={text}"), &format!("bash {text}")).exits(0);
    place.host("\"$SWATHE\" diff >../patch");
    let said = place.host("cd ../copy; git apply --check ../patch && git apply ../patch; grep -a -c '^rename from' ../patch");
    assert_eq!(said, "40");
    place.swathe("commit --yes").exits(0);
    let looked = |dir: &str| {
        place.host(&format!(
            "cd {dir}; find . -type l -printf '%p %l\\0' | sort -z | tr '\\0' '@'; \
             find . -type f -perm -100 -print0 | sort -z | tr '\\0' '@'; \
             find . -type f ! -name binary ! -name bye -print0 | sort -z | xargs -0 sha256sum"
        ))
    };
    let (host, copy) = (looked("."), looked("../copy"));
    assert!(host.lines().count() > 400, "{host}");
    assert_eq!(host, copy);
    // What it cannot carry is said.
    let patch = place.host("cat -v ../patch");
    for line in [
        "Binary files a/binary and b/binary differ",
        "Binary files a/bye and /dev/null differ",
        "# bits: mode 0600 is now 0755",
        "# pipe: new named pipe 0644",
        "# void: new directory 0755",
    ] {
        assert!(patch.lines().any(|is| is == line), "{line}: {patch}");
    }
}

/// What a patch cannot make room for is no part of it: the rest can be applied.
fn patches_without_room(place: &Place) {
    place.host(
        "mkdir -p bin hollow/deep; printf 'a\\0b' >bin/a; echo 1 >bin/t; echo 1 >hollow/t; \
         printf 'a\\0b' >file; echo 1 >plain; echo 1 >text; mkfifo pipe; cp -r . ../copy",
    );
    let script = "rm -r bin hollow file text pipe; echo now >pipe; echo now >bin; echo now >hollow; mkdir file text; \
        echo in >file/in; echo in >text/in; echo 2 >plain";
    place.inside("--cow", script).exits(0);
    let text = place.host(
        "\"$SWATHE\" diff >../patch; cd ../copy; git apply ../patch; cat plain text/in; \
         ls bin hollow file; grep -c '^# +' ../patch",
    );
    assert_eq!(text, "2\nin\nfile\n\nbin:\na\n\nhollow:\ndeep\n8");
    // What is named alone has no room either.
    place.host("\"$SWATHE\" diff text/in >../patch; grep '^# +in' ../patch; rm -r ../copy");
}

/// An install that runs a hostile script: what it planted is shown first, and a commit without a
/// word about it is refused.
fn hostile_install(place: &Place) {
    place.repository();
    let script = "mkdir -p node_modules/left-pad; echo 'module.exports = 1' >node_modules/left-pad/index.js; \
        printf '#!/bin/sh\ntouch /tmp/pwned\n' >.git/hooks/pre-commit; chmod +x .git/hooks/pre-commit; \
        git config core.fsmonitor 'touch /tmp/pwned'; echo 'export PATH=/evil' >.envrc; \
        ln -s /etc/passwd innocent; ln -s ../../../../.. up; echo '{}' >package-lock.json; cp /bin/true tool; chmod 755 tool";
    place.host("echo '{}' >package.json");
    place.outside("echo \"$1\" >install.sh").arg("sh").arg(script).exits(0);
    place.inside("--cow", "sh install.sh").exits(0);
    let shown = paths(place, "");
    let at = |name: &str| {
        shown.iter().position(|path| path == name).unwrap_or_else(|| panic!("{name}: {shown:?}"))
    };
    let harmless = at("package-lock.json");
    for name in [".git/hooks/pre-commit", ".git/config", ".envrc", "innocent", "up", "tool"] {
        assert!(at(name) < harmless, "{name} is not shown first: {shown:?}");
    }
    let stat = place.swathe("diff --stat").prints();
    let first = stat.lines().find(|line| line.contains("pre-commit")).expect("listed");
    assert!(first.contains('!'), "not marked: {stat}");
    let refused = place.swathe("commit").exits(1);
    assert!(refused.errors().contains("pre-commit"), "{refused}");
    assert!(refused.errors().contains("--yes"), "{refused}");
    place.host("test ! -e .git/hooks/pre-commit; test ! -e node_modules");
    place.swathe("commit node_modules package-lock.json").exits(0);
    place.host(
        "test -e node_modules/left-pad/index.js; test ! -e .git/hooks/pre-commit; test ! -e .envrc",
    );
    place.swathe("discard").exits(0);
    place.host("git status --porcelain >/dev/null; test ! -e /tmp/pwned");
}

/// A repository without `.git` runs what its configuration names as soon as somebody is in it.
fn bare_repository(place: &Place) {
    if !installed("git") {
        return;
    }
    let script = "git init -q --bare data; git -C data config core.bare false; git -C data config core.worktree ..; \
        git -C data config core.fsmonitor 'touch $HOME/pwned;:'; rm -rf data/hooks; echo 1 >plain";
    place.inside("--cow --workspace w", script).exits(0);
    let stat = place.swathe("diff w --stat").prints();
    let line = stat.lines().find(|line| line.contains("data/config")).expect("listed");
    assert!(line.starts_with("! A"), "not marked: {stat}");
    let refused = place.swathe("commit w").exits(1);
    assert!(refused.errors().contains("data/config"), "{refused}");
    place.host("test ! -e data; test ! -e plain");
    // With a part of it in the project already the rest is marked, too.
    place.swathe("commit w data/description plain").exits(0);
    place.swathe("commit w data/refs").exits(1);
}

/// What the program made unreadable is refused, and nothing else is held up by it.
fn unreadable(place: &Place) {
    place.host("mkdir d; echo 1 >d/f; echo 1 >x");
    let script = "echo 2 >x; rm -r d; mkdir d; chmod 0 d";
    place.inside("--cow --workspace w", script).exits(0);
    place.swathe("diff w").exits(0);
    if place.host("id -u") != "0" {
        let stat = place.swathe("diff w --stat").prints();
        let line = stat.lines().find(|line| line.starts_with("! M d "));
        assert!(line.is_some_and(|line| line.contains("cannot be read")), "{stat}");
        place.swathe("commit --yes w").exits(1);
        assert_eq!(place.host("cat x d/f"), "2\n1");
    }
    place.swathe("discard w d").exits(0);
    assert!(!place.swathe("diff w --stat").prints().contains(" d "));
    assert_eq!(place.host("cat d/f"), "1");
    place.inside("--cow --workspace w", "cat d/f").exits(0);
}

/// Names and contents with escape codes and line breaks do not reach the terminal's rules.
fn nothing_draws(place: &Place) {
    place
        .inside(
            "--cow",
            "printf 'x\\033[2J\\n' >\"$(printf 'a\\033[31m\\nb')\"; printf '\\033]0;title\\007' >c",
        )
        .exits(0);
    for words in ["diff --stat", "workspace show", "commit --dry-run", "diff --name-only"] {
        let said = place.swathe(words).go();
        assert!(!said.out.contains(&0x1b) && !said.err.contains(&0x1b), "{words}: {said}");
    }
    let names = place.swathe("diff --name-only -z").go();
    assert!(names.out.ends_with(b"\0"), "{names}");
    assert_eq!(paths(place, "").len(), 2);
}

/// The document for programs.
fn for_programs(place: &Place) {
    place.host("echo 1 >f; echo bye >gone");
    place.inside("--cow", "echo 2 >>f; rm gone; printf 'a\\0b' >bin; ln -s f l; printf '#!/bin/sh\\n' >x; chmod +x x; echo q >\"$(printf 'n\\377')\"").exits(0);
    let found = json(place, "");
    assert_eq!(found["version"], 1);
    assert_eq!(found["roots"][0], place.project(""));
    let changes = found["changes"].as_array().expect("changes");
    let of = |path: &str| {
        changes.iter().find(|c| c["path"] == path).unwrap_or_else(|| panic!("{path}: {found:#}"))
    };
    assert_eq!(of("f")["kind"], "modified");
    assert_eq!(of("gone")["kind"], "deleted");
    assert_eq!(of("bin")["kind"], "added");
    assert_eq!(of("l")["new"]["kind"], "symlink");
    assert_eq!(of("l")["target"], "f");
    assert_eq!(of("f")["new"]["size"], 4);
    assert_eq!((&of("x")["marks"][0], &of("x")["dangerous"]), (&"executable".into(), &true.into()));
    assert_eq!((&of("f")["marks"], &of("f")["dangerous"]), (&Value::Array(vec![]), &false.into()));
    // What is not UTF-8 is told exactly.
    assert_eq!(of("n\\xff")["kind"], "added");
    let list: Value =
        serde_json::from_str(&place.swathe("workspace list --json").prints()).expect("JSON");
    assert_eq!(list[0]["roots"][0], place.project(""));
    assert_eq!(list[0]["in_use"], Value::Null);
}

both!(
    difftool,
    patches,
    patches_of_git,
    patches_without_room,
    hostile_install,
    bare_repository,
    unreadable,
    nothing_draws,
    for_programs,
);
