//! Programs that are installed below the home directory, or need what lies beside them: what they
//! need is worked out, and the credentials beside it stay where they are.

mod common;

use common::{LOOK, Place, installed, no_secret};
use swathe_testkit::notice;

/// A layout below the home directory: how it is made, the directory of PATH, and what is run.
struct Layout {
    name: &'static str,
    setup: &'static str,
    path: &'static str,
    run: &'static str,
    says: &'static str,
    /// Files that must not be readable inside.
    hidden: &'static [&'static str],
}

const SCRIPT: &str = "script() { mkdir -p \"${1%/*}\"; printf '#!%s\\n%s\\n' \"$2\" \"$3\" >\"$1\"; chmod +x \"$1\"; }; cd $HOME; ";

const LAYOUTS: &[Layout] = &[
    Layout {
        name: "~/.local/bin",
        setup: "script .local/bin/mine /bin/sh 'echo mine; cat $HOME/.local/lib/mine/data'; mkdir -p .local/lib/mine .local/share/keyrings; echo lib >.local/lib/mine/data; echo PLANTED-SECRET >.local/share/keyrings/login",
        path: ".local/bin",
        run: "mine",
        says: "mine\nlib",
        hidden: &[".local/share/keyrings/login"],
    },
    Layout {
        name: "~/bin, a link to elsewhere",
        setup: "script apps/tool-1.0/bin/tool /bin/sh 'cat $(dirname $(readlink -f $0))/../data 2>/dev/null || echo alone'; mkdir bin; ln -s ../apps/tool-1.0/bin/tool bin/tool",
        path: "bin",
        run: "tool",
        says: "alone",
        hidden: &[".ssh/id_ed25519"],
    },
    Layout {
        name: "~/bin, a link by other links",
        setup: "script versions/1/tool /bin/sh 'echo linked'; mkdir -p bin versions/all; \
            ln -s 1 versions/current; ln -s ../current/tool versions/all/tool; \
            ln -s ../versions/all/tool bin/linked",
        path: "bin",
        run: "linked",
        says: "linked",
        hidden: &[".ssh/id_ed25519"],
    },
    Layout {
        name: "pyenv",
        setup: "script .pyenv/versions/3.9/bin/python /bin/sh 'echo python 3.9 $1'; \
            script .pyenv/libexec/pyenv /bin/sh 'exec $HOME/.pyenv/versions/3.9/bin/python $1'; \
            script .pyenv/shims/python /bin/sh 'exec $HOME/.pyenv/libexec/pyenv $1'",
        path: ".pyenv/shims",
        run: "python x",
        says: "python 3.9 x",
        hidden: &[".npmrc"],
    },
    Layout {
        name: "nvm",
        setup: "script .nvm/versions/node/v20/bin/node /bin/sh 'echo node 20'; \
            mkdir -p .nvm/versions/node/v20/lib/node_modules/npm; \
            script .nvm/versions/node/v20/lib/node_modules/npm/cli.js '/usr/bin/env node' ''; \
            ln -s ../lib/node_modules/npm/cli.js .nvm/versions/node/v20/bin/npm",
        path: ".nvm/versions/node/v20/bin",
        run: "npm",
        says: "node 20",
        hidden: &[".npmrc"],
    },
    Layout {
        name: "rustup",
        setup: "script .rustup/toolchains/stable/bin/cargo /bin/sh 'echo cargo; ls $HOME/.cargo'; \
            script .cargo/bin/cargo /bin/sh 'exec $HOME/.rustup/toolchains/stable/bin/cargo'; \
            mkdir -p .cargo/registry; echo 'default_toolchain = \"stable\"' >.rustup/settings.toml",
        path: ".cargo/bin",
        run: "cargo",
        says: "cargo\nbin\nregistry",
        hidden: &[".cargo/credentials.toml"],
    },
    Layout {
        name: "uv tool",
        setup: "script .local/share/uv/tools/x/bin/python /bin/sh 'echo uv python'; \
            script .local/share/uv/tools/x/bin/x \"$HOME/.local/share/uv/tools/x/bin/python\" ''; \
            mkdir -p .local/bin; ln -s $HOME/.local/share/uv/tools/x/bin/x .local/bin/x",
        path: ".local/bin",
        run: "x",
        says: "uv python",
        hidden: &[".netrc"],
    },
    Layout {
        name: "mise",
        setup: "script .local/share/mise/installs/node/20/bin/node /bin/sh 'echo mise node'; \
            mkdir -p .local/share/mise/shims; ln -s ../installs/node/20/bin/node .local/share/mise/shims/node",
        path: ".local/share/mise/shims",
        run: "node",
        says: "mise node",
        hidden: &[".config/gh/hosts.yml"],
    },
    Layout {
        name: "go",
        setup: "script go/bin/tool /bin/sh 'echo go tool'",
        path: "go/bin",
        run: "tool",
        says: "go tool",
        hidden: &[".netrc"],
    },
    Layout {
        name: "a directory of no tool",
        setup: "script odd/tool /bin/sh 'echo odd; ls -A $(dirname $0)'; echo PLANTED-SECRET >odd/token",
        path: "odd",
        run: "tool",
        says: "odd\ntool",
        hidden: &["odd/token"],
    },
    Layout {
        name: "the home directory itself",
        setup: "script ./tool /bin/sh 'echo at home'",
        path: ".",
        run: "$HOME/tool",
        says: "at home",
        hidden: &[".ssh/id_ed25519", ".bash_history"],
    },
];

fn layouts(place: &Place) {
    let mut wrong = Vec::new();
    for layout in LAYOUTS {
        let home = place.home("");
        place.host(&format!("{SCRIPT}{}", layout.setup));
        let path = format!("{home}/{}:/usr/bin:/bin", layout.path).replace("/.:", ":");
        let run = layout.run.replace("$HOME", &home);
        for words in [format!("run -- {run}"), format!("run -- sh -c 'exec {run}'")] {
            let ran = place.outside(&format!("\"$SWATHE\" {words}")).env("PATH", &path).go();
            // By itself a shell finds only what is in the directories of tools.
            let found =
                ["a dir", "the home", "~/bin, a link"].iter().any(|n| layout.name.starts_with(n));
            if words.contains("sh -c") && found {
                continue;
            }
            if ran.ended.shell() != 0 || ran.text() != layout.says {
                wrong.push(format!("{}: {ran}", layout.name));
            }
        }
        for file in layout.hidden {
            let look = format!("cat {home}/{file}; {LOOK}");
            let ran = place.inside("", &look).env("PATH", &path).go();
            no_secret(&ran);
            let ran =
                place.outside(&format!("\"$SWATHE\" explain -- {run}")).env("PATH", &path).go();
            assert!(!ran.text().contains(&format!("{home}/{file}")), "{ran}");
        }
        place.host("cd $HOME; rm -rf .local .pyenv .nvm .rustup .cargo/bin .cargo/registry go odd tool bin apps");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n----\n"));
}

/// A venv beside the project, and one inside, with a Python of the system.
fn venvs(place: &Place) {
    if !installed("python3") || !std::path::Path::new("/usr/lib/python3").exists() {
        return;
    }
    let make = "/usr/bin/python3 -m venv --without-pip";
    place.host(&format!("mkdir -p $HOME/venvs; {make} $HOME/venvs/a; {make} venv; \
        mkdir -p $HOME/venvs/a/lib/python3.0; echo PLANTED-SECRET >$HOME/venvs/token; \
        printf '#!%s\\nimport sys; print(sys.prefix)\\n' $HOME/venvs/a/bin/python >$HOME/venvs/a/bin/tool; chmod +x $HOME/venvs/a/bin/tool"));
    let prefix = "-c 'import sys, json; print(sys.prefix)'";
    let venv = place.home("venvs/a");
    for (command, says) in [
        (format!("{venv}/bin/python {prefix}"), venv.clone()),
        (format!("{venv}/bin/tool"), venv.clone()),
        (format!("venv/bin/python {prefix}"), place.project("venv")),
        (format!("env PATH={venv}/bin:/usr/bin \"$SWATHE\" run -- python {prefix}"), venv.clone()),
        (
            format!(
                "env PATH={venv}/bin:/usr/bin VIRTUAL_ENV={venv} \"$SWATHE\" run -- sh -c 'python -c \"import os; print(os.environ[\\\"VIRTUAL_ENV\\\"])\"'"
            ),
            venv.clone(),
        ),
    ] {
        let command = if command.contains("SWATHE") {
            command
        } else {
            format!("\"$SWATHE\" run -- {command}")
        };
        assert_eq!(place.host(&command), says, "{command}");
    }
    no_secret(&place.host_run(&format!(
        "\"$SWATHE\" run -- {venv}/bin/python -c 'print(open(\"{venv}/../token\").read())'"
    )));
}

/// A program with libraries beside it, found by `$ORIGIN`; one that a script names; one in a
/// directory above the working directory.
fn libraries(place: &Place) {
    if !installed("gcc") {
        return;
    }
    place.host(
        "mkdir -p $HOME/opt/x/bin $HOME/opt/x/lib; cd $HOME/opt/x; echo PLANTED-SECRET >token; \
         echo 'int inner(void) { return 40; }' >i.c; gcc -shared -fPIC -o lib/libinner.so i.c; \
         echo 'int inner(void); int outer(void) { return inner() + 2; }' >o.c; \
         gcc -shared -fPIC -o lib/libouter.so.1 o.c -Llib -linner -Wl,-rpath,'$ORIGIN'; ln -s libouter.so.1 lib/libouter.so; \
         echo 'int outer(void); int main(void) { return outer(); }' >m.c; \
         gcc -o bin/x m.c -Llib -louter -Wl,-rpath,'$ORIGIN/../lib' -Wl,-rpath-link,lib; \
         printf '#!%s\\n' $HOME/opt/x/bin/x >bin/script; chmod +x bin/script; \
         ln -s $HOME/opt/x/bin/x link; cp -r bin lib $OLDPWD; mkdir $OLDPWD/sub",
    );
    for command in
        ["$HOME/opt/x/bin/x", "$HOME/opt/x/bin/script", "$HOME/opt/x/link", "bin/x", "./bin/x"]
    {
        place.outside(&format!("\"$SWATHE\" run -- {command}")).exits(42);
    }
    place.outside("cd sub; \"$SWATHE\" run -- ../bin/x").exits(42);
    place.outside("PATH=$HOME/opt/x/bin:$PATH; \"$SWATHE\" run -- x").exits(42);
    let ran = place.outside("\"$SWATHE\" explain -- $HOME/opt/x/bin/x").exits(0);
    assert!(
        !ran.text().contains("token") && !ran.text().contains(&format!("{} ", place.home("opt/x"))),
        "{ran}"
    );
}

/// A crate is built offline with the toolchain of a rustup below the home directory.
fn cargo_builds(place: &Place) {
    let sysroot = std::process::Command::new("rustc").args(["--print", "sysroot"]).output();
    let sysroot = sysroot.map(|out| String::from_utf8_lossy(&out.stdout).trim().to_owned());
    let Ok(sysroot) = sysroot.as_deref().map(|s| s.to_owned()) else {
        return notice("rustc is not installed: cargo in a sandbox is not tried");
    };
    // Root's home directory is nobody else's: the toolchain is mounted where the user has one.
    let text = format!(
        "set -e; mkdir -p src; printf '[package]\\nname = \"small\"\\nversion = \"0.1.0\"\\nedition = \"2021\"\\n' >Cargo.toml; \
         printf 'fn main() {{ println!(\"from Rust\"); }}\\n#[test] fn t() {{}}\\n' >src/main.rs; \
         t=$HOME/.rustup/toolchains/stable; mkdir -p $t $HOME/.cargo/bin; mount --bind {sysroot} $t; \
         for p in cargo rustc rustdoc; do ln -s ../../.rustup/toolchains/stable/bin/$p $HOME/.cargo/bin/$p; done; \
         test -z \"$AS\" || chown -R $($AS id -u) . $HOME/.cargo/bin; export PATH=$HOME/.cargo/bin:$PATH; \
         $AS \"$SWATHE\" run -w -- cargo run --offline; $AS \"$SWATHE\" run -w -- cargo test --offline -q; \
         ! $AS \"$SWATHE\" run -w -- cat $HOME/.cargo/credentials.toml; umount $t"
    );
    let Some(run) = place.root(&text) else { return };
    let ran = run.exits(0);
    assert!(ran.text().contains("from Rust"), "{ran}");
    no_secret(&ran);
}

both! {
    layouts,
    venvs,
    libraries,
    cargo_builds,
}
