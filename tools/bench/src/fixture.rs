//! The files a run needs, and the command lines of the profiles over them.

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};

use crate::launch::Command;
use crate::rows::Profile;

/// Descriptors the flatpak profile uses: its words, its filter, its files.
const ARGS_FD: i32 = 100;
const FILTER_FD: i32 = 101;
const DATA_FD: i32 = 102;
const DATA_FILES: i32 = 4;

/// A directory of its own with everything the profiles name; removed when dropped.
pub struct Fixture {
    root: PathBuf,
    owner: u32,
}

impl Fixture {
    /// Makes the tree below `parent` for runs as user `uid`, with `payload` copied into it.
    ///
    /// `parent` must be visible to that user and must not be below /usr, /tmp, /proc or /dev,
    /// which the profiles replace.
    pub fn new(parent: &Path, uid: u32, payload: &Path) -> io::Result<Self> {
        let owner = std::process::id();
        let root = parent.join(format!("swathe-bench-{owner}"));
        fs::create_dir(&root)?;
        let fixture = Fixture { root, owner };
        open_mode(&fixture.root)?;
        fixture.dirs("many", 1000)?;
        fixture.dirs("mounts", 2000)?;
        fixture.dirs("tree", 40)?;
        fixture.files("file", 20)?;
        fixture.files("work", 10)?;
        chown(fixture.path("work"), Some(uid), Some(uid))?;
        fs::copy(payload, fixture.path("strue"))?;
        fs::set_permissions(fixture.path("strue"), fs::Permissions::from_mode(0o755))?;
        fs::write(fixture.path("filter"), filter())?;
        let mut words = Vec::new();
        for word in fixture.flatpak_words() {
            words.extend_from_slice(word.as_bytes());
            words.push(0);
        }
        fs::write(fixture.path("words"), words)?;
        Ok(fixture)
    }

    /// A path below the fixture.
    pub fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    fn dirs(&self, name: &str, n: usize) -> io::Result<()> {
        let dir = self.path(name);
        fs::create_dir(&dir)?;
        (0..n).try_for_each(|i| fs::create_dir(dir.join(i.to_string())))
    }

    fn files(&self, name: &str, n: usize) -> io::Result<()> {
        let dir = self.path(name);
        fs::create_dir(&dir)?;
        (0..n).try_for_each(|i| fs::write(dir.join(i.to_string()), b"content\n"))
    }

    /// A copy of `program` that every user can run.
    pub fn program(&self, program: &Path, name: &str) -> io::Result<PathBuf> {
        let copy = self.path(name);
        fs::copy(program, &copy)?;
        open_mode(&copy)?;
        Ok(copy)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).to_string_lossy().into_owned()
    }

    /// The whole command line of `profile` with `program` in front and `extra` words for the
    /// payload.
    pub fn command(&self, program: &Path, profile: Profile, extra: &[&str]) -> Command {
        let mut words: Vec<String> = Vec::new();
        let mut files = Vec::new();
        let inside = "/app/strue".to_owned();
        let payload = match profile {
            Profile::Min => {
                push(&mut words, "--ro-bind / /");
                self.text("strue")
            }
            Profile::Std | Profile::HostNet | Profile::Binds(_) => {
                self.std_words(&mut words, profile);
                inside
            }
            Profile::Agent => {
                push(
                    &mut words,
                    "--unshare-all --ro-bind / / --dev /dev --proc /proc --tmpfs /tmp",
                );
                let work = self.text("work");
                words.extend(["--bind".to_owned(), work.clone(), work]);
                for i in 0..10 {
                    let file = self.text(&format!("work/{i}"));
                    words.extend(["--ro-bind".to_owned(), file.clone(), file]);
                }
                self.text("strue")
            }
            Profile::Flatpak => {
                words.extend(["--args".to_owned(), ARGS_FD.to_string()]);
                files.push((self.path("words"), ARGS_FD));
                files.push((self.path("filter"), FILTER_FD));
                for i in 0..DATA_FILES {
                    files.push((self.path(&format!("file/{i}")), DATA_FD + i));
                }
                inside
            }
        };
        words.push("--".to_owned());
        words.push(payload);
        words.extend(extra.iter().map(|w| (*w).to_owned()));
        let words = words.iter().map(|w| c_string(w.as_bytes())).collect();
        let files = files.iter().map(|(p, fd)| (c_string(p.as_os_str().as_bytes()), *fd)).collect();
        Command::new(c_string(program.as_os_str().as_bytes()), words, files)
    }

    fn std_words(&self, words: &mut Vec<String>, profile: Profile) {
        push(words, "--unshare-all");
        if profile == Profile::HostNet {
            push(words, "--share-net");
        }
        push(words, "--ro-bind /usr /usr --symlink usr/bin /bin --symlink usr/lib /lib");
        push(words, "--symlink usr/lib64 /lib64 --proc /proc --dev /dev --tmpfs /tmp");
        self.payload_bind(words);
        if let Profile::Binds(n) = profile {
            for i in 0..n {
                let source = self.text(&format!("many/{i}"));
                words.extend(["--ro-bind".to_owned(), source, format!("/many/{i}")]);
            }
        }
    }

    fn payload_bind(&self, words: &mut Vec<String>) {
        words.extend(["--ro-bind".to_owned(), self.text("strue"), "/app/strue".to_owned()]);
    }

    /// What the flatpak profile's `--args` file holds.
    fn flatpak_words(&self) -> Vec<String> {
        let mut w = Vec::new();
        push(&mut w, "--unshare-pid --unshare-ipc --die-with-parent");
        push(&mut w, "--ro-bind /usr /usr --proc /proc --dev /dev --tmpfs /tmp");
        self.payload_bind(&mut w);
        for i in 0..30 {
            push(&mut w, &format!("--dir /var/lib/{i}"));
        }
        for i in 0..20 {
            w.extend([
                "--ro-bind".to_owned(),
                self.text(&format!("tree/{i}")),
                format!("/run/share/{i}"),
            ]);
            let source = self.text(&format!("tree/{}", i + 20));
            w.extend(["--bind".to_owned(), source, format!("/home/user/data-{i}")]);
        }
        for i in 2..20 {
            w.extend([
                "--ro-bind".to_owned(),
                self.text(&format!("file/{i}")),
                format!("/etc/{i}.conf"),
            ]);
        }
        for i in 0..40 {
            push(&mut w, &format!("--symlink ../usr/etc/{i} /etc/link-{i}"));
        }
        for i in 0..DATA_FILES {
            let option = if i < 2 { "--file" } else { "--ro-bind-data" };
            push(&mut w, &format!("{option} {} /run/data/{i}", DATA_FD + i));
        }
        push(&mut w, &format!("--seccomp {FILTER_FD}"));
        w
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        // Forked helpers inherit the value; only its maker removes the tree.
        if std::process::id() == self.owner {
            let _ = fs::remove_dir_all(&self.root);
        }
    }
}

fn open_mode(path: &Path) -> io::Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
}

fn push(words: &mut Vec<String>, text: &str) {
    words.extend(text.split_whitespace().map(str::to_owned));
}

fn c_string(bytes: &[u8]) -> CString {
    CString::new(bytes.split(|b| *b == 0).next().unwrap_or_default()).unwrap_or_default()
}

/// A filter of a desktop sandbox's shape: a linear deny list of 40 numbers that answers EPERM, one
/// instruction pair each, everything else allowed. The numbers are of calls the payload never makes.
fn filter() -> Vec<u8> {
    const LOAD: u16 = 0x20;
    const JUMP_EQ: u16 = 0x15;
    const RETURN: u16 = 0x06;
    let mut program = vec![(LOAD, 0, 0, 0)];
    for nr in 0..40u32 {
        program.push((JUMP_EQ, 0, 1, 400 + nr * 7));
        program.push((RETURN, 0, 0, 0x0005_0001));
    }
    program.push((RETURN, 0, 0, 0x7fff_0000));
    let mut bytes = Vec::new();
    for (code, jt, jf, k) in program {
        bytes.extend_from_slice(&code.to_ne_bytes());
        bytes.extend_from_slice(&[jt, jf]);
        bytes.extend_from_slice(&u32::to_ne_bytes(k));
    }
    bytes
}
