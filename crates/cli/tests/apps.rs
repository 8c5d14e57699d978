//! `swathe profile` and `swathe app` as a person and a program use them.

use std::io::Write as _;
use swathe_testkit::{Bwrap, Run, Side, TempDir, Terminal, Who};

const MANIFEST: &str = r#"
[app]
id = "org.example.Scraper"
name = "Scraper \u001b[2J"
command = ["scraper"]

[[intent]]
use = "files.dir"
path = "~/pages"
access = "rw"
reason = "stores pages\u001b[1A\nAllow it? y"

[[intent]]
use = "ssh-agent"
reason = "pushes \u202etxt"
"#;

const ID: &str = "org.example.Scraper";

/// The command, and a home directory of its own.
struct Place {
    swathe: Bwrap,
    home: TempDir,
}

impl Place {
    fn run(&self, words: &str) -> Run {
        self.swathe.run(words).env("HOME", self.home.path()).cwd(self.home.path())
    }

    /// On a terminal of its own, which it controls.
    fn on_terminal(&self, terminal: &Terminal, words: &str) -> Run {
        let swathe = self.swathe.path.display();
        self.swathe
            .script(&format!("exec setsid --ctty --wait {swathe} {words}"))
            .env("HOME", self.home.path())
            .cwd(self.home.path())
            .stdin(terminal.inner())
    }
}

/// As root and as a user without an account.
fn everyone(check: impl Fn(&Place)) {
    for who in [Who::Root, Who::User] {
        let built = Some(env!("CARGO_BIN_EXE_swathe"));
        let Some(swathe) = Bwrap::find(Side::Ours, who, built) else { continue };
        let home = swathe.temp();
        check(&Place { swathe, home });
    }
}

/// A file is fine or wrong by exit status, with excerpts for people and JSON for programs.
#[test]
fn profile_check() {
    everyone(|place| {
        place.home.file("good.toml", "[[intent]]\nuse = \"gpu\"\n");
        place.home.file("bad.toml", "[[intent]]\nuse = \"gpuu\"\n");
        place.home.file("app.toml", MANIFEST);
        let text = place.run("profile check good.toml").prints();
        assert_eq!(text, "good.toml: profile is fine, 1 intents");
        assert_eq!(
            place.run("profile check app.toml").prints(),
            "app.toml: manifest is fine, 2 intents"
        );
        let errors = place.run("profile check bad.toml").exits(1).errors();
        assert!(errors.contains(" --> ./bad.toml:2:7\n"), "{errors}");
        assert!(errors.contains("       ^^^^^^ not a word of intents\n"), "{errors}");
        let json = place.run("profile check --json bad.toml").exits(1).text();
        let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
        assert_eq!(json["ok"], false);
        assert_eq!(json["diagnostics"][0]["line"], 2);
        assert_eq!(json["diagnostics"][0]["column"], 7);
        let schema = place.run("profile schema").prints();
        let schema: serde_json::Value = serde_json::from_str(&schema).expect("JSON");
        assert_eq!(schema["title"], "Swathe profile");
    });
}

/// What is no text, no file, too long or a pipe is refused at once.
#[test]
fn profile_check_of_other_things() {
    everyone(|place| {
        place.home.file("bytes.toml", b"x = \"\xff\"\n");
        place.home.file("long.toml", "#".repeat((1 << 20) + 1));
        place.home.dir("directory.toml");
        let fifo = place.home.at("fifo.toml");
        place.swathe.script(&format!("mkfifo {fifo}")).exits(0);
        for (name, cause) in [
            ("bytes.toml", "not UTF-8"),
            ("long.toml", "longer than 1048576 bytes"),
            ("directory.toml", "not a regular file"),
            ("fifo.toml", "not a regular file"),
            ("none.toml", "No such file"),
        ] {
            let errors = place.run(&format!("profile check {name}")).exits(1).errors();
            assert!(errors.contains(cause), "{name}: {errors}");
        }
    });
}

/// Profiles by name come from the user's directory, never from the working directory.
#[test]
fn profiles_by_name() {
    everyone(|place| {
        place.home.dir("work");
        place.home.file("work/base.toml", "[[intent]]\nuse = \"net.all\"\n");
        place.home.file("work/top.toml", "extends = [\"base\"]\n");
        let check = || place.run("profile check top.toml").cwd(place.home.at("work"));
        let errors = check().exits(1).errors();
        assert!(errors.contains("no profile `base` in"), "{errors}");
        place.home.dir(".config/swathe/profiles");
        place.home.file(".config/swathe/profiles/base.toml", "[[intent]]\nuse = \"gpu\"\n");
        assert_eq!(check().prints(), "top.toml: profile is fine, 1 intents");
    });
}

/// The profiles that come with the program are known by their names, until the user has one of the
/// name.
#[test]
fn built_in_profiles() {
    everyone(|place| {
        for name in ["agent", "node", "offline", "python", "rust"] {
            place.home.file("top.toml", format!("extends = [\"{name}\"]\n"));
            place.run("profile check top.toml").exits(0);
        }
        place.home.dir(".config/swathe/profiles");
        place.home.file(".config/swathe/profiles/rust.toml", "[[intent]]\nuse = \"gpu\"\n");
        let text = place.run("profile check top.toml").prints();
        assert_eq!(text, "top.toml: profile is fine, 1 intents");
    });
}

/// An app that was added has nothing. Grants are what was named, revoking takes them back, and
/// forgetting leaves nothing behind.
#[test]
fn life_of_an_app() {
    everyone(|place| {
        place.home.file("app.toml", MANIFEST);
        assert_eq!(place.run("app list").prints(), "");
        let added = place.run("app add app.toml").prints();
        assert!(added.contains("added org.example.Scraper"), "{added}");
        assert!(!added.contains('\u{1b}') && !added.contains('\u{202e}'), "{added}");
        assert_eq!(place.run("app list").prints(), format!("{ID}  0 of 2 granted, 2 to decide"));
        let granted = place.run(&format!("app grant {ID} ssh-agent")).prints();
        assert!(granted.contains("DANGEROUS: can log in as you"), "{granted}");
        place.run(&format!("app grant {ID} files.dir=~/pages:rw")).exits(0);
        assert_eq!(place.run("app list").prints(), format!("{ID}  2 of 2 granted"));
        place.run(&format!("app revoke {ID} ssh-agent")).exits(0);
        let json = place.run(&format!("app show --json {ID}")).prints();
        let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
        assert_eq!(json["intents"][0]["granted"], true);
        assert_eq!(json["intents"][0]["uses"], 0);
        assert_eq!(json["intents"][1]["granted"], false);
        let shown = place.run(&format!("app show {ID}")).prints();
        assert!(shown.contains("rw: granted, never used"), "{shown}");
        assert!(shown.contains("ssh-agent: refused"), "{shown}");
        place.run(&format!("app grant {ID} gpu")).exits(1);
        let mode = place.home.mode_of(&format!(".local/share/swathe/grants/{ID}.toml"));
        assert_eq!(mode, Some(0o600));
        place.run(&format!("app forget {ID}")).exits(0);
        assert_eq!(place.home.list(".local/share/swathe/apps"), Vec::<String>::new());
        place.run(&format!("app show {ID}")).exits(1);
        place.run("app show ../../../etc/passwd").exits(1);
        place.run("app forget ../x").exits(1);
    });
}

/// Another manifest of the same id does not inherit what was granted, unless the user says so; then
/// only what is new is undecided.
#[test]
fn another_manifest() {
    everyone(|place| {
        place.home.file("app.toml", MANIFEST);
        place.run("app add app.toml").exits(0);
        place.run("app add app.toml").exits(0);
        place.run(&format!("app grant --all {ID}")).exits(0);
        let more = "[[intent]]\nuse = \"kvm\"\nreason = \"machines\"\n";
        place.home.file("next.toml", format!("{MANIFEST}{more}"));
        let errors = place.run("app add next.toml").exits(1).errors();
        assert!(errors.contains("there is another manifest of org.example.Scraper"), "{errors}");
        let added = place.run("app add --replace next.toml").prints();
        assert!(added.contains("  kvm\n") && !added.contains("ssh-agent"), "{added}");
    });
}

/// Without a terminal nobody is asked: what is missing is named, and how to grant it.
#[test]
fn no_terminal() {
    everyone(|place| {
        place.home.file("app.toml", MANIFEST);
        place.run("app add app.toml").exits(0);
        let swathe = place.swathe.path.display();
        let script = format!("exec setsid --wait {swathe} app grant {ID}");
        let run = place.swathe.script(&script).env("HOME", place.home.path());
        let errors = run.cwd(place.home.path()).exits(1).errors();
        assert!(errors.contains("no terminal to ask on"), "{errors}");
        assert!(errors.contains("ssh-agent"), "{errors}");
        assert!(errors.contains(&format!("swathe app grant {ID}")), "{errors}");
    });
}

/// Each question is asked once on the terminal. What was typed before it is no answer, nothing is
/// no, and what the manifest says draws nothing.
#[test]
fn asking() {
    everyone(|place| {
        place.home.file("app.toml", MANIFEST);
        place.run("app add app.toml").exits(0);
        let mut terminal = Terminal::open(&place.swathe);
        terminal.outer.write_all(b"y\ny\ny\n").expect("typed ahead");
        let running = place.on_terminal(&terminal, &format!("app grant {ID}")).start();
        let first = terminal.read_until("[n]: ");
        // Past the echo of what was typed ahead.
        let question = &first[first.find("org.example").expect("a question")..];
        assert!(question.contains("wants (1 of 2)") && question.contains("DANGEROUS"), "{first}");
        assert!(!question.contains('\u{1b}'), "{first}");
        assert_eq!(question.matches("\nAllow it?").count(), 1, "{first}");
        terminal.outer.write_all(b"maybe\n").expect("typed");
        terminal.read_until("answer y, n or q [n]: ");
        terminal.outer.write_all(b"yes\n").expect("typed");
        let second = terminal.read_until("[n]: ");
        assert!(!second.contains('\u{202e}'), "{second}");
        terminal.outer.write_all(b"\n").expect("typed");
        assert_eq!(running.wait().ended.shell(), 0);
        assert_eq!(place.run("app list").prints(), format!("{ID}  1 of 2 granted"));
        // Everything is decided: nothing is asked, with or without a terminal.
        place.run(&format!("app grant {ID}")).exits(0);
    });
}

/// Giving up keeps the answers so far and fails.
#[test]
fn giving_up() {
    everyone(|place| {
        place.home.file("app.toml", MANIFEST);
        place.run("app add app.toml").exits(0);
        let mut terminal = Terminal::open(&place.swathe);
        let running = place.on_terminal(&terminal, &format!("app grant {ID}")).start();
        terminal.read_until("[n]: ");
        terminal.outer.write_all(b"y\n").expect("typed");
        terminal.read_until("[n]: ");
        terminal.outer.write_all(b"q\n").expect("typed");
        assert_eq!(running.wait().ended.shell(), 1);
        assert_eq!(place.run("app list").prints(), format!("{ID}  1 of 2 granted, 1 to decide"));
    });
}
