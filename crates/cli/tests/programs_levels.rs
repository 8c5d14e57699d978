//! Programs of the system under access levels: which work as without, and how the others fail.

mod common;

use common::{Place, installed};

/// What a level makes of a program.
#[derive(Clone, Copy)]
enum Made {
    /// Its output, its status and all files afterwards are the same.
    Same,
    /// It fails, and says this.
    Fails(&'static str),
}
use Made::{Fails, Same};

const DENIED: Made = Fails("ermission denied");

/// The program that has to be installed, the command, and what `append` and `no-delete` make of it.
/// Under `trash` all are the same.
const TABLE: &[(&str, &str, Made, Made)] = &[
    // What reads, and what makes new files, is the same under each level. A git that refreshes its
    // index leaves its lock where nothing is removed.
    ("cat", "cat a b d/f", Same, Same),
    ("head", "head -n 1 nums; tail -n 1 nums", Same, Same),
    ("wc", "wc a nums; nl a; tac nums; rev a", Same, Same),
    ("sort", "sort -n nums | uniq -c; sort -n nums -o sorted; cat sorted", Same, Same),
    ("cut", "cut -c 1-2 a; paste a b; join nums nums; comm a b", Same, Same),
    ("tr", "tr a-z A-Z <a; fold -w 2 a; expand a", Same, Same),
    ("tee", "echo more | tee new1 new2", Same, Same),
    ("touch", "touch new; touch -d @1 a; stat -c %Y a", Same, Same),
    ("mkdir", "mkdir -p x/y/z && mkfifo x/pipe", Same, Same),
    ("ln", "ln a hard && ln -s a soft && readlink soft", Same, Same),
    ("chmod", "chmod 600 a && stat -c %a a", Same, Same),
    ("cp", "cp -r d copy && cp a new", Same, Same),
    ("install", "install -m 700 a new", Same, Same),
    ("dd", "dd if=a of=new 2>&1 | head -n 2", Same, Same),
    ("split", "split -l 1 nums part.; csplit -s nums 2", Same, Same),
    ("sha256sum", "sha256sum a; cksum a; base64 a; od -c a", Same, Same),
    ("seq", "seq 5 | xargs -n 2 echo; expr 2 + 3; date -u -d @0", Same, Same),
    ("cmp", "cmp a b; diff -u a b; diff -r d d", Same, Same),
    ("sh", "echo more >>a; echo x >new; (echo y; echo z) >>new; cat a new", Same, Same),
    (
        "bash",
        "bash -c 'cat <<<text; mapfile -t l <nums; echo ${#l[@]} > >(cat >new); wait'",
        Same,
        Same,
    ),
    ("grep", "grep -rn one .; grep -c 1 nums", Same, Same),
    ("find", "find . -name f -exec cat {} +", Same, Same),
    ("xargs", "find . -name f | xargs -P 2 cat", Same, Same),
    ("awk", "awk '{ s += $1 } END { print s > \"new\" }' nums; cat new", Same, Same),
    ("sed", "sed s/one/two/ a; sed -n 'w new' a", Same, Same),
    (
        "perl",
        "perl -ne 'print scalar reverse' a; perl -e 'open F, \">new\"; print F 1'",
        Same,
        Same,
    ),
    (
        "python3",
        "python3 -c 'import json; json.dump([1], open(\"new\", \"w\")); print(open(\"a\").read())'",
        Same,
        Same,
    ),
    (
        "node",
        "node -e 'fs.writeFileSync(\"new\", \"x\"); fs.appendFileSync(\"a\", \"y\"); console.log(fs.readdirSync(\".\"))'",
        Same,
        Same,
    ),
    ("tar", "tar -cf new.tar d a && mkdir x && tar -xf new.tar -C x && rm -f ~/none", Same, Same),
    ("unzip", "unzip -q z.zip -d x && cat x/a", Same, Same),
    ("gzip", "gzip -k a && zcat a.gz", Same, Same),
    ("bzip2", "bzip2 -k a && bzcat a.bz2", Same, Same),
    ("xz", "xz -k a && xzcat a.xz", Same, Same),
    ("zstd", "zstd -q a && zstd -dc a.zst", Same, Same),
    ("jq", "jq -c '.x + 1' j.json >new; cat new", Same, Same),
    ("curl", "curl -s file://$PWD/a -o new && cat new", Same, Same),
    ("bc", "echo '2 ^ 64' | bc", Same, Same),
    ("openssl", "openssl dgst -sha256 a; openssl enc -base64 -in a -out new", Same, Same),
    ("file", "file a j.json", Same, Same),
    ("less", "less a </dev/null", Same, Same),
    ("gpg", "gpg --homedir ~ --print-md sha256 a 2>/dev/null", Same, Same),
    ("make", "make -s -j 2 && cat made", Same, Same),
    (
        "git",
        "cd r && export GIT_OPTIONAL_LOCKS=0 && git log --format=%s && git status --short && git grep one",
        Same,
        Same,
    ),
    ("vim", "vim -es -u NONE -n -c 'wq! new' a; cat new", Same, Same),
    // What replaces, overwrites or removes is not.
    ("sh", "echo over >a", DENIED, DENIED),
    ("mv", "mv a c", DENIED, DENIED),
    ("rm", "rm a", DENIED, DENIED),
    ("rmdir", "rmdir e", DENIED, DENIED),
    ("find", "find d -delete", DENIED, DENIED),
    ("truncate", "truncate -s 0 a", DENIED, DENIED),
    ("cp", "cp b a", DENIED, DENIED),
    ("ln", "ln -sf b l", DENIED, DENIED),
    ("sed", "sed -i s/one/two/ a && cat a", DENIED, DENIED),
    ("perl", "perl -pi -e s/one/two/ a && cat a", DENIED, DENIED),
    ("gzip", "gzip a", DENIED, DENIED),
    ("tar", "tar -cf t.tar a && tar -xf t.tar", Fails("File exists"), Fails("File exists")),
    ("rsync", "rsync -a d/ copy/ && ls copy", DENIED, DENIED),
    ("ed", "printf 's/one/two/\\nw\\nq\\n' | ed -s a && cat a", DENIED, DENIED),
    ("vim", "vim -es -u NONE -n -c 's/one/two/' -c 'wq!' a && cat a", Fails(""), Same),
    ("patch", "patch -s a <p.diff && cat a", DENIED, DENIED),
    ("zip", "zip -qX z.zip b && unzip -p z.zip", Fails(""), Fails("")),
    (
        "sqlite3",
        "sqlite3 new.db 'create table t (x); insert into t values (1); select * from t'",
        Fails("rror"),
        Fails("rror"),
    ),
    ("git", "cd r && echo x >>file && git commit -qam two && git log --format=%s", DENIED, DENIED),
    ("git", "git clone -q r clone && cat clone/file", DENIED, DENIED),
    ("cc", "cc -o prog p.c && ./prog", Same, Same),
    ("ar", "cc -c p.c -o ~/p.o && ar rcsD lib.a ~/p.o && ar t lib.a", Fails(""), Fails("")),
    ("python3", "python3 -c 'import os; os.replace(\"b\", \"a\")' && cat a", DENIED, DENIED),
    ("node", "node -e 'fs.renameSync(\"b\", \"a\")' && cat a", DENIED, DENIED),
    (
        "npm",
        "cd n && npm version --no-git-tag-version 2.0.0 && cat package.json",
        Fails(""),
        Fails(""),
    ),
    ("cargo", "cd c && cargo build -q --offline && cargo run -q --offline", Fails(""), Fails("")),
];

const FILES: &str = "set -e; echo one >a; echo two >b; mkdir d e; echo f >d/f; ln -s a l; seq 12 >nums; \
    echo '{\"x\": 1}' >j.json; printf 'made: a\\n\\tcat a b >made\\n' >Makefile; \
    diff -u a b >p.diff || :; sed -i 's/^[-+][-+][-+].*/& /' p.diff; \
    printf '#include <stdio.h>\\nint main(void) { puts(\"ran\"); }\\n' >p.c; \
    if command -v zip >/dev/null; then zip -qX z.zip a; fi; \
    mkdir n; echo '{\"name\": \"n\", \"version\": \"1.0.0\"}' >n/package.json; \
    mkdir -p c/src; printf '[package]\\nname = \"c\"\\nversion = \"0.1.0\"\\nedition = \"2021\"\\n' >c/Cargo.toml; \
    echo 'fn main() { println!(\"ran\") }' >c/src/main.rs; \
    git init -q -b main r; cd r; echo one >file; git add file; git commit -qm one";

/// Output, status and files of each command, in a run of its own.
fn results(place: &Place, options: &str) -> Vec<Option<(String, String)>> {
    TABLE
        .iter()
        .map(|(program, command, ..)| {
            if !installed(program) {
                return None;
            }
            // The same directory each time: some programs print or keep it.
            place.host("chmod -R u+w work 2>/dev/null || :; rm -rf work; cp -a base work");
            let level = options.replace("DIR", &place.project("work"));
            let text = format!(
                "cd work; umask 022; export GIT_AUTHOR_DATE='@1000000000 +0000' GIT_COMMITTER_DATE='@1000000000 +0000' LC_ALL=C TZ=UTC; \
                 ( {command} ) 2>&1; echo status $?"
            );
            let said = place.inside(&level, &text).go().text();
            let files = place.host(
                "cd work; find . -path './c/target*' -prune -o -path '*/.git/hooks' -prune -o -path '*/.git/index' -prune -o -type f ! -name '*.tar' \
                 ! -name '*.db' ! -name '*.zip' -exec cksum {} + | sort -k 3; find . -path './c/target*' -prune -o -print | sort",
            );
            Some((said, files))
        })
        .collect()
}

fn programs(place: &Place) {
    place.host(&format!("mkdir base; cd base; {FILES}"));
    let plain = results(place, "--allow files.dir=DIR:rw");
    for (level, column) in [("append", 0), ("no-delete", 1), ("trash", 2)] {
        let found = results(place, &format!("--allow files.dir=DIR:{level}"));
        let (mut wrong, mut compared) = (Vec::new(), 0);
        for (((program, command, append, no_delete), plain), found) in
            TABLE.iter().zip(&plain).zip(&found)
        {
            let (Some(plain), Some(found)) = (plain, found) else { continue };
            if !plain.0.ends_with("status 0") {
                let why =
                    format!("{program} does not run in a sandbox at all, left out: {}", plain.0);
                swathe_testkit::notice(&why);
                continue;
            }
            compared += 1;
            let fine = match [append, no_delete, &Same][column] {
                Same => plain == found,
                Fails(text) => !found.0.ends_with("status 0") && found.0.contains(text),
            };
            if !fine {
                let changed = plain.1.lines().filter(|line| !found.1.lines().any(|l| l == *line));
                let more = found.1.lines().filter(|line| !plain.1.lines().any(|l| l == *line));
                let changed = changed.chain(more).collect::<Vec<_>>().join(", ");
                wrong.push(format!("{level}: {command}:\n{}\n{}\n{changed}", plain.0, found.0));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
        assert!(compared > 35, "only {compared} programs run in a sandbox at all");
    }
}

both!(programs);
