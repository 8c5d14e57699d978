//! The generated files: current, and understood by what reads them.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

fn file(name: &str) -> PathBuf {
    swathe_docs::root().join(name)
}

/// Runs a program and returns its status and everything it wrote; none, with a notice, when it is
/// not installed.
fn output(program: &str, words: &[&str]) -> Option<(bool, String)> {
    let out = match Command::new(program).args(words).env("LC_ALL", "C.UTF-8").output() {
        Ok(out) => out,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            let notice = format!("notice: {program} is not installed: nothing was checked by it\n");
            let _ = std::io::stderr().write_all(notice.as_bytes());
            return None;
        }
        Err(e) => panic!("{program}: {e}"),
    };
    let text = [out.stdout, out.stderr].concat();
    Some((out.status.success(), String::from_utf8_lossy(&text).into_owned()))
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

/// What is checked in is what the generators make of the option table.
#[test]
fn checked_in_files_are_current() {
    let stale = swathe_docs::stale(&swathe_docs::root()).expect("the list of differences");
    let names: Vec<_> = stale.iter().map(|file| file.path.as_str()).collect();
    assert!(names.is_empty(), "run \"cargo run -p swathe-docs\": {names:?}");
}

/// A file that differs or is missing is noticed.
#[test]
fn stale_files_are_noticed() {
    let dir = std::env::temp_dir().join(format!("swathe-docs-{}", std::process::id()));
    std::fs::create_dir_all(dir.join("docs")).expect("a directory");
    std::fs::write(dir.join(swathe_docs::DIFFERENCES), "").expect("a file");
    let all = swathe_docs::all(&dir).expect("all files");
    assert_eq!(swathe_docs::stale(&dir).expect("stale files"), all);
    for file in &all {
        let path = dir.join(&file.path);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        std::fs::write(path, &file.text).expect("a file");
    }
    assert_eq!(swathe_docs::stale(&dir).expect("stale files"), []);
    std::fs::write(dir.join(&all[0].path), "old").expect("a file");
    assert_eq!(swathe_docs::stale(&dir).expect("stale files"), all[..1]);
    std::fs::remove_dir_all(&dir).expect("cleaned");
}

/// groff and mandoc have nothing to say about the manual page, and it shows all its sections.
#[test]
fn the_manual_page_is_clean() {
    let page = file("man/bwrap.1");
    if let Some((good, said)) = output("mandoc", &["-T", "lint", text(&page)]) {
        assert!(good && said.is_empty(), "{said}");
    }
    // The page, on standard output, then warnings, on standard error.
    if let Some((good, said)) = output("groff", &["-ww", "-Tutf8", "-P-cbou", "-man", text(&page)])
    {
        assert!(good, "{said}");
        assert!(!said.contains("warning:") && !said.contains("error:"), "{said}");
        for heading in ["NAME", "OPTIONS", "EXIT STATUS", "DIFFERENCES", "SEE ALSO"] {
            assert!(said.lines().any(|line| line == heading), "{heading} is not in {said}");
        }
        assert!(said.contains("--ro-bind SRC DEST"), "{said}");
    }
}

/// In bash, options, their arguments and the command complete as what they are.
#[test]
fn bash_completes() {
    let script = format!(
        "PATH=/usr/bin; source '{}' && complete -p bwrap || exit 1\n\
         complete_words() {{ COMP_WORDS=(bwrap \"$@\"); COMP_CWORD=$#; _bwrap 2>/dev/null\n\
             printf '[%s]' \"${{COMPREPLY[@]}}\"; echo; }}\n\
         complete_words --ro-bind-f\n\
         complete_words --ro-bind /us\n\
         complete_words --ro-bind /usr /et\n\
         complete_words --bind-fd 3 /us\n\
         complete_words --ro-bind / / --cap-drop CAP_SYS_ADM\n\
         complete_words --rlimit nof\n\
         complete_words --rlimit nofile 1\n\
         complete_words --uid-range 1 2 3 --unshare-pi\n\
         complete_words --ro-bind / / setpri\n\
         complete_words -- setpri\n\
         complete_words --ro-bind / / cat --ro-bin\n\
         complete_words --ro-bind / / cat /et\n",
        text(&file("completions/bwrap.bash"))
    );
    let Some((good, said)) = output("bash", &["--norc", "-c", &script]) else { return };
    let expected = [
        "complete -F _bwrap bwrap",
        "[--ro-bind-fd]",
        "[/usr]",
        "[/etc]",
        "[/usr]",
        "[CAP_SYS_ADMIN]",
        "[nofile]",
        "[]",
        "[--unshare-pid]",
        "[setpriv]",
        "[setpriv]",
        "[]",
        "[/etc]",
    ];
    assert!(good, "{said}");
    assert_eq!(said.lines().collect::<Vec<_>>(), expected);
}

/// In fish too.
#[test]
fn fish_completes() {
    let home = std::env::temp_dir().join(format!("swathe-fish-{}", std::process::id()));
    std::fs::create_dir_all(&home).expect("a directory");
    let lines = [
        ("--ro-bind-f", "--ro-bind-fd"),
        ("--ro-bind /us", "/usr/"),
        ("--ro-bind /usr /et", "/etc/"),
        ("--cap-drop CAP_SYS_ADM", "CAP_SYS_ADMIN"),
        ("--rlimit nof", "nofile"),
        ("--rlimit nofile 1", ""),
        ("--ro-bind / / setpri", "setpriv"),
        ("--ro-bind / / -- setpri", "setpriv"),
        ("--ro-bind / / cat /et", "/etc/"),
    ];
    for (words, expected) in lines {
        let script = format!(
            "set -gx HOME '{}'; source '{}'; complete -C 'bwrap {words}'",
            text(&home),
            text(&file("completions/bwrap.fish"))
        );
        let Some((good, said)) = output("fish", &["--no-config", "-c", &script]) else { break };
        // A description may follow.
        let first = said.lines().next().unwrap_or("").split('\t').next();
        assert!(good, "{said}");
        assert_eq!(first, Some(expected), "{words}: {said}");
    }
    std::fs::remove_dir_all(&home).expect("cleaned");
}

/// zsh can read its completion, in which every option is a specification of `_arguments`.
#[test]
fn zsh_reads() {
    let path = file("completions/_bwrap");
    if let Some((good, said)) = output("zsh", &["-f", "-n", text(&path)]) {
        assert!(good && said.is_empty(), "{said}");
    }
    // `_arguments` itself needs a completion in progress.
    let script = format!(
        "autoload -Uz compinit && compinit -D -u; _arguments() {{ print -rl -- \"$@\" }}\n\
         source '{}'",
        text(&path)
    );
    let Some((good, said)) = output("zsh", &["-f", "-c", &script]) else { return };
    assert!(good, "{said}");
    assert!(
        said.lines().any(|l| l == "*--ro-bind[show SRC at DEST, read-only]:SRC:_files:DEST:_files")
    );
    assert!(said.lines().any(|l| l == "--help[show this text and exit]"), "{said}");
}

/// Every test that the list of weaknesses names exists.
#[test]
fn named_tests_exist() {
    let list = std::fs::read_to_string(file("docs/cve-checklist.md")).expect("the list");
    let mut found = 0;
    for name in list.split('`').skip(1).step_by(2) {
        let Some((test, function)) = name.split_once("::") else { continue };
        if test == "file" {
            continue;
        }
        let path = file("crates/bwrap/tests").join(test).with_extension("rs");
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(text.contains(&format!("fn {function}(")), "no test {name}");
        assert!(text.contains(&format!("    {function},")), "{name} is never run");
        found += 1;
    }
    assert!(found > 30, "only {found} tests were found: has the list another form now?");
}

/// Every link of the documents to a file of the repository leads somewhere.
#[test]
fn links_lead_somewhere() {
    let adr = std::fs::read_dir(file("docs/adr")).expect("decisions");
    let mut all: Vec<PathBuf> = adr.map(|e| e.expect("an entry").path()).collect();
    let names = ["README.md", "SECURITY.md", "CONTRIBUTING.md", "CHANGELOG.md"];
    all.extend(names.iter().map(|name| file(name)));
    all.extend(["ARCHITECTURE.md", "cve-checklist.md"].map(|n| file("docs").join(n)));
    let mut found = 0;
    for document in all {
        let text = std::fs::read_to_string(&document).expect("a document");
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.contains("://") {
                continue;
            }
            let path = link.split('#').next().unwrap_or_default();
            let target = document.parent().expect("a directory").join(path);
            assert!(target.exists(), "{}: {link}", document.display());
            found += 1;
        }
    }
    assert!(found > 20, "only {found} links were found");
}
