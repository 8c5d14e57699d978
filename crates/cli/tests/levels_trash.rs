//! The access level `trash`: programs work as without it, what they remove or replace is kept, and
//! nothing gets around that.

mod common;

use common::{Place, installed};

const TRASH: &str = "--allow files.cwd=trash";

/// Where the user's trash is.
const BASE: &str = "$HOME/.local/share/swathe/trash";

/// What the trash lists: one path a line, the newest first.
fn listed(place: &Place) -> Vec<String> {
    let text = place.swathe("trash list --json").prints();
    let lines = text.lines().filter_map(|line| line.trim().strip_prefix("\"path\": \""));
    lines.map(|line| line.trim_end_matches(['"', ',']).to_owned()).collect()
}

fn paths(place: &Place, names: &[&str]) -> Vec<String> {
    names.iter().map(|name| place.project(name)).collect()
}

#[track_caller]
fn restore_fails(place: &Place, words: &str, text: &str) {
    let ran = place.swathe(&format!("trash restore {words}")).exits(1);
    assert!(ran.errors().contains(text), "{ran}");
}

fn remove(place: &Place) {
    place.host("echo one >a; chmod 640 a; touch -d @1000000000 a; ln -s a l; mkfifo p; mkdir e");
    place.host("chmod 711 e; touch -d @1000000001 e");
    place.inside(TRASH, "rm a l p && rmdir e && ! test -e a && ! test -L l").exits(0);
    assert_eq!(place.host("ls"), "");
    assert_eq!(listed(place), paths(place, &["e", "p", "l", "a"]));
    place.swathe("trash restore a l p e").exits(0);
    assert_eq!(
        place.host("cat a; stat -c '%a %Y' a e; stat -c %F p; readlink l"),
        "one\n640 1000000000\n711 1000000001\nfifo\na"
    );
    assert_eq!(place.swathe("trash list").prints(), "nothing is there");
    assert_eq!(place.host(&format!("find {BASE}/files {BASE}/info -mindepth 1")), "");
}

/// Nothing is there for a moment between, and what was there is kept.
fn replace(place: &Place) {
    place.host("echo old >a; echo new >b; echo other >c; mkdir d e; ln -s c l; echo x >m");
    let text = "mv b a && sed -i s/other/changed/ c && mv -T d e && mv m l; cat a c l";
    assert_eq!(place.inside(TRASH, text).prints(), "new\nchanged\nx");
    assert_eq!(listed(place), paths(place, &["l", "e", "c", "a"]));
    // What is there is never replaced, and said.
    restore_fails(place, "a", "a file of 4 bytes is there");
    assert_eq!(place.host("cat a"), "new");
    place.swathe("trash restore a --to a.old").exits(0);
    restore_fails(place, "c --to .", "is there");
    place.swathe("trash restore l --to l.old").exits(0);
    assert_eq!(place.host("cat a.old; readlink l.old"), "old\nc");
}

/// What the kernel refuses is refused, with its number, and leaves nothing behind.
fn refused(place: &Place) {
    place.host("mkdir -p full/x d; echo a >a; echo b >b; mkdir ro; echo c >ro/c; chmod 555 ro");
    let text = r#"
import errno, os
def of(f, *a):
    try: f(*a); return 'done'
    except OSError as e: return errno.errorcode[e.errno]
print(of(os.rmdir, 'full'), of(os.unlink, 'd'), of(os.rmdir, 'a'), of(os.unlink, 'none'),
      of(os.rename, 'a', 'd'), of(os.rename, 'd', 'a'), of(os.rename, 'd', 'full'),
      of(os.unlink, 'a/'), of(os.rmdir, 'd/.'), of(os.rename, 'a', 'full/../..'),
      of(os.unlink, 'x' * 256), of(os.rename, 'a', 'a'))
"#;
    if !installed("python3") {
        return;
    }
    place.dir.file("project/t.py", text);
    let expected = place.inside("-w", "python3 t.py").prints();
    assert_eq!(place.inside(TRASH, "python3 t.py").prints(), expected);
    assert!(expected.starts_with("ENOTEMPTY EISDIR ENOTDIR ENOENT EISDIR ENOTDIR ENOTEMPTY"));
    if !place.swathe.is_root() {
        place.inside(TRASH, "! rm -f ro/c").exits(0);
    }
    assert_eq!(listed(place), Vec::<String>::new());
    assert_eq!(place.host(&format!("find {BASE}/files {BASE}/info -mindepth 1")), "");
    place.host("chmod 755 ro");
}

fn whole_tree(place: &Place) {
    place.host(
        "mkdir -p t/a/b t/c && echo 1 >t/1 && echo 2 >t/a/b/2 && chmod 750 t/a && ln -s 1 t/l",
    );
    let before = place
        .host("find t -type d -printf '%p %m\\n' -o -printf '%p %m %s %l %T@\\n' | LC_ALL=C sort");
    place.inside(TRASH, "rm -rf t && echo gone").prints();
    assert_eq!(place.host("ls"), "");
    assert_eq!(
        place.swathe("trash restore t").prints(),
        format!("restored {}: 7 things", place.project("t"))
    );
    assert_eq!(
        place.host(
            "find t -type d -printf '%p %m\\n' -o -printf '%p %m %s %l %T@\\n' | LC_ALL=C sort"
        ),
        before
    );
    // What stayed, with what was removed in it; beside something new of the same name.
    place.inside(TRASH, "rm -rf t/* && mkdir t/a && echo new >t/1").exits(0);
    restore_fails(place, "t", "a file of 4 bytes is there");
    assert_eq!(place.host("cat t/1 t/a/b/2"), "new\n2");
    place.swathe("trash restore t --to elsewhere").exits(0);
    assert_eq!(place.host("cat elsewhere/1"), "1");
}

fn programs(place: &Place) {
    if installed("git") {
        let text = "git init -q -b main . && echo 1 >f && git add f && git commit -q -m 1 && \
            echo 2 >f && git commit -q -a -m 2 && git checkout -q -b x HEAD~1 && cat f && \
            git rm -q f && git commit -q -m 3 && git checkout -q main && git stash -q 2>&1; \
            git gc -q && git fsck && git log --oneline | wc -l && git status --porcelain";
        // In a directory of its own: the project itself may be no repository of the program's.
        let ran = place.inside(TRASH, &format!("mkdir r && cd r && {text}")).prints();
        assert_eq!(ran.lines().collect::<Vec<_>>(), ["1", "2"], "{ran}");
    }
    for (program, text) in [
        ("vim", "echo old >v; vim -u NONE -es -c 's/old/new/' -c wq v; cat v"),
        ("perl", "echo old >v; perl -pi -e s/old/new/ v; cat v"),
        ("sed", "echo old >v; sed -i s/old/new/ v; cat v"),
        ("python3", "echo new >n; python3 -c 'import os; os.replace(\"n\", \"v\")'; cat v"),
        (
            "gcc",
            "echo 'int main(){return 7;}' >m.c; gcc -c m.c && gcc m.o -o m; ./m; \
            test $? = 7 && rm m m.o && gcc m.c -o m && echo new",
        ),
        (
            "sqlite3",
            "sqlite3 d 'create table t(a); insert into t values(\"new\"); select * from t'",
        ),
        ("tar", "mkdir s; echo new >s/f; tar cf s.tar s; rm -r s; tar xf s.tar; cat s/f"),
        (
            "make",
            "printf 'o: i\\n\\tcp i o\\n' >Makefile; echo new >i; make -s; rm o; make -s; cat o",
        ),
    ] {
        if installed(program) {
            assert_eq!(place.inside(TRASH, text).prints(), "new", "{program}");
        }
    }
}

/// The trash is out of reach, and names and numbers of the program do not matter to it.
fn out_of_reach(place: &Place) {
    place.host("echo secret >a; mkdir d; printf x >\"$(printf 'n\\n\\033[31m\\377')\"");
    let text = "exec 3<d; rm -rf a d n*; ls $HOME/.local/share/swathe /proc/self/fd/3/ 2>&1 | \
        grep -c -e trash -e secret; cat /proc/self/fd/3/../files/* 2>/dev/null; \
        touch /proc/self/fd/3/new 2>/dev/null; echo end";
    assert_eq!(place.inside(TRASH, text).prints(), "0\nend");
    // A name with control characters is shown escaped, and comes back.
    let shown = place.swathe("trash list").prints();
    assert!(shown.contains("n\\x0a\\x1b[31m\\xff") && !shown.contains('\x1b'), "{shown}");
    let id = shown.lines().find(|line| line.contains("x1b")).and_then(|l| l.split(' ').next());
    place.swathe(&format!("trash restore {}", id.expect("an id"))).exits(0);
    assert_eq!(place.host("cat n*"), "x");
}

/// Where a directory was, the program puts a link to another: nothing is restored through it.
fn links(place: &Place) {
    place.host("mkdir d ../other; echo x >d/f");
    place.inside(TRASH, "rm -rf d && ln -s ../other d").exits(0);
    restore_fails(place, "d/f", "symbolic link");
    restore_fails(place, "d", "a symbolic link is there");
    assert_eq!(place.host("ls ../other"), "");
    place.host("rm d; mkdir d");
    place.swathe("trash restore d/f").exits(0);
    assert_eq!(place.host("cat d/f"), "x");
}

/// What is protected inside is not removed by way of the host's own mount.
fn protected(place: &Place) {
    place.repository();
    place.host("echo 'exit 0' >.git/hooks/pre-commit; echo : >.envrc");
    let text = "rm -f .git/hooks/pre-commit .envrc .git/config; echo x >n; mv -f n .git/config; \
        mv -f n .envrc; mv -f n .git/hooks/pre-commit; rm -rf .git/hooks; mv .git g; echo end";
    place.inside(TRASH, text).prints();
    assert_eq!(
        place.host("ls .git/hooks/pre-commit .git/config .envrc; cat .envrc"),
        ".envrc\n.git/config\n.git/hooks/pre-commit\n:"
    );
}

/// Calls that would destroy without removing a name of their own, or around paths.
const ATTACKS: &str = r#"
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
X86 = os.uname().machine == 'x86_64'
def call(n, *a):
    r = libc.syscall(ctypes.c_long(n), *a)
    if r < 0: raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return r
def plain(): os.unlink('a')
def by_link():
    os.symlink('.', 'here'); os.unlink('here/here/a')
def by_root(): os.unlink('/proc/self/root' + os.path.abspath('a'))
def by_cwd(): os.unlink('/proc/self/cwd/a')
def by_fd():
    fd = os.open('.', os.O_RDONLY); os.unlink('a', dir_fd=fd)
def by_fd_path():
    fd = os.open('.', os.O_PATH); os.unlink('/proc/thread-self/fd/%d/a' % fd)
def over(): open('n', 'w').write('X'); os.rename('n', 'a')
def over_noreplace():
    open('n', 'w').write('X'); call(316 if X86 else 276, -100, b'n', -100, b'a', 1)
def exchange():
    open('n', 'w').write('X'); call(316 if X86 else 276, -100, b'n', -100, b'a', 2); os.unlink('n')
def out(): os.rename('a', os.environ['HOME'] + '/a')
def pid_1(): os.unlink('/proc/1/cwd/a')
def to_home():
    os.link('a', os.environ['HOME'] + '/a'); os.unlink('a')
import sys
f = globals()[sys.argv[1]]
try: f()
except OSError as e: pass
"#;

fn attacks(place: &Place) {
    if !installed("python3") {
        return;
    }
    place.dir.file("project/t.py", ATTACKS);
    for name in [
        "plain",
        "by_link",
        "by_root",
        "by_cwd",
        "by_fd",
        "by_fd_path",
        "over",
        "over_noreplace",
        "exchange",
        "out",
        "pid_1",
        "to_home",
    ] {
        place.host("rm -f n here; echo kept >a");
        place.inside(TRASH, &format!("python3 t.py {name}; true")).exits(0);
        let kept = place
            .host(&format!("cat a 2>/dev/null || :; echo; cat {BASE}/files/* 2>/dev/null || :"));
        assert!(kept.lines().any(|line| line == "kept"), "{name}: {kept}");
        place.swathe("trash empty --all --yes").exits(0);
    }
}

/// Sessions have a supervisor of their own, which keeps too.
fn session(place: &Place) {
    place.host("echo x >a");
    // In one script: what a session leaves is not to be left to the test.
    place.host(&format!(
        "$SWATHE session start {TRASH} s-trash; trap '$SWATHE session stop s-trash' EXIT; \
        $SWATHE run --session s-trash -- rm a"
    ));
    assert_eq!(listed(place), paths(place, &["a"]));
    place.swathe("trash restore --run s-trash a").exits(0);
    assert_eq!(place.host("cat a"), "x");
}

/// When there is no room, nothing is removed: never silently lost.
fn full(place: &Place) {
    place.host("echo 1 >a; echo 2 >b; echo 3 >c; echo n >n");
    place.swathe("trash limits --entries 2").exits(0);
    let ran = place.inside(TRASH, "rm a b; rm c; mv n c; cat c").go();
    assert!(ran.errors().contains("Disk quota exceeded"), "{ran}");
    assert_eq!(place.host("cat c n"), "3\nn");
    place.swathe("trash empty --yes a").exits(0);
    place.inside(TRASH, "rm c").exits(0);
    assert_eq!(listed(place), paths(place, &["c", "b"]));
    place.swathe("trash limits --entries 100 --size 8K").exits(0);
    place.host("head -c 20000 /dev/zero >big");
    let ran = place.inside(TRASH, "rm big").go();
    assert!(ran.errors().contains("Disk quota exceeded"), "{ran}");
    assert_eq!(place.host("stat -c %s big"), "20000");
}

both!(
    remove,
    replace,
    refused,
    whole_tree,
    programs,
    out_of_reach,
    links,
    protected,
    attacks,
    session,
    full
);
