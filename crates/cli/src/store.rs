//! Where profiles, manifests and grants lie, and how they are read and written.

use crate::out::{Failure, shown};
use crate::wanted::refused;
use std::ffi::{OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use swathe_policy::profile::LONGEST_FILE;
use swathe_policy::{Environment, Grants, Loader, Manifest, SourceText, Standing};

/// Directories of profiles that come with the system, first match wins.
const SYSTEM: [&str; 3] =
    ["/etc/swathe/profiles", "/usr/local/share/swathe/profiles", "/usr/share/swathe/profiles"];

/// What paths are made of for this user, here.
///
/// # Errors
/// The host cannot be asked.
pub fn environment() -> Result<Environment, Failure> {
    Ok(crate::host::probe(&swathe_host::layers::Quick::probe())?.places)
}

/// A regular file of at most so many bytes.
fn read_bounded(path: &Path, most: usize) -> Result<String, String> {
    // Without O_NONBLOCK a named pipe would keep us waiting.
    let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY;
    let flags = i32::try_from(flags.bits()).unwrap_or(0);
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path);
    let file = file.map_err(|e| e.to_string())?;
    if !file.metadata().map_err(|e| e.to_string())?.is_file() {
        return Err("not a regular file".to_owned());
    }
    let mut bytes = Vec::new();
    let limit = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    file.take(limit).read_to_end(&mut bytes).map_err(|e| e.to_string())?;
    if bytes.len() > most {
        return Err(format!("longer than {most} bytes"));
    }
    String::from_utf8(bytes).map_err(|e| {
        let good = e.utf8_error().valid_up_to();
        let line = e.as_bytes()[..good].iter().filter(|b| **b == b'\n').count() + 1;
        format!("not UTF-8 (line {line}, byte {good})")
    })
}

/// Reads a profile or manifest that the user named.
pub fn read(path: &Path) -> Result<SourceText, String> {
    let text = read_bounded(path, LONGEST_FILE)
        .map_err(|e| format!("cannot read {}: {e}", path.display()))?;
    Ok(SourceText::file(path, text))
}

/// Finds profiles: a word with a slash is a path that the user chose, other words are names, looked
/// for in the user's directory and the system's. Never in the working directory.
#[derive(Debug)]
pub struct Profiles {
    directories: Vec<PathBuf>,
}

impl Profiles {
    /// The directories for this user.
    pub fn new(env: &Environment) -> Self {
        let own = env.config.join("swathe/profiles");
        Self { directories: std::iter::once(own).chain(SYSTEM.map(PathBuf::from)).collect() }
    }
}

/// Profiles that every `swathe` knows, where no directory has one of the name.
const BUILT_IN: [(&str, &str); 5] = [
    ("agent", include_str!("../../../profiles/agent.toml")),
    ("node", include_str!("../../../profiles/node.toml")),
    ("offline", include_str!("../../../profiles/offline.toml")),
    ("python", include_str!("../../../profiles/python.toml")),
    ("rust", include_str!("../../../profiles/rust.toml")),
];

impl Loader for Profiles {
    fn load(&self, name: &OsStr) -> Result<SourceText, String> {
        use std::os::unix::ffi::OsStrExt as _;
        if name.as_bytes().contains(&b'/') {
            return read(Path::new(name));
        }
        let text = name.to_string_lossy();
        if !swathe_policy::profile::profile_name(&text) {
            return Err(format!("`{text}` is no name of a profile; a file is named with a slash"));
        }
        for directory in &self.directories {
            let path = directory.join(format!("{text}.toml"));
            match std::fs::symlink_metadata(&path) {
                Ok(_) => return read(&path),
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
                Err(e) => return Err(format!("cannot read {}: {e}", path.display())),
            }
        }
        if let Some((name, built_in)) = BUILT_IN.iter().find(|(name, _)| *name == text) {
            return Ok(SourceText::file(format!("built-in/{name}.toml"), *built_in));
        }
        let searched: Vec<String> =
            self.directories.iter().map(|path| path.display().to_string()).collect();
        Err(format!("no profile `{text}` in {}; a file is named with a slash", searched.join(", ")))
    }
}

/// The apps of a user: their manifests, and what was decided about them.
#[derive(Debug)]
pub struct Apps {
    manifests: PathBuf,
    grants: PathBuf,
    states: PathBuf,
}

impl Apps {
    /// Those of this user.
    pub fn new(env: &Environment) -> Self {
        Self {
            manifests: env.data.join("swathe/apps"),
            grants: env.data.join("swathe/grants"),
            states: env.data.join("swathe/state"),
        }
    }

    /// The directory that an app keeps as its home from run to run; made if need be.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn state(&self, id: &str) -> Result<PathBuf, Failure> {
        let path = self.states.join(id);
        private_directory(&path)?;
        Ok(path)
    }

    /// Where an app's grants are kept.
    pub fn grants_path(&self, id: &str) -> PathBuf {
        self.grants.join(format!("{id}.toml"))
    }

    /// Where an app's manifest is kept.
    pub fn manifest_path(&self, id: &str) -> PathBuf {
        self.manifests.join(format!("{id}.toml"))
    }

    /// The ids of all apps, sorted.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn list(&self) -> Result<Vec<String>, Failure> {
        let failed = |e| {
            Failure::new(format!("cannot read {}: {e}", shown(&self.manifests.to_string_lossy())))
        };
        let entries = match std::fs::read_dir(&self.manifests) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(failed)?,
        };
        let mut ids = Vec::new();
        for entry in entries.take(100_000) {
            let name = entry.map_err(failed)?.file_name();
            let id = name.to_str().and_then(|name| name.strip_suffix(".toml"));
            ids.extend(id.filter(|id| swathe_policy::grants::valid_id(id)).map(str::to_owned));
        }
        ids.sort();
        Ok(ids)
    }

    /// The text of an app's manifest, where the app was added.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn manifest_text(&self, id: &str) -> Result<Option<SourceText>, Failure> {
        optional(&self.manifest_path(id))
    }

    /// An app's manifest.
    ///
    /// # Errors
    /// The app was not added, or its manifest is wrong.
    pub fn manifest(&self, id: &str, env: &Environment) -> Result<Manifest, Failure> {
        if !swathe_policy::grants::valid_id(id) {
            return Err(Failure::new(format!("`{}` is no id of an app", shown(id))));
        }
        let source = self.manifest_text(id)?.ok_or_else(|| {
            Failure::new(format!("no app {id}")).hint("`swathe app add FILE` adds one")
        })?;
        let manifest = Manifest::read(&Arc::new(source), env).map_err(|d| refused(&d))?;
        if manifest.app.id != id {
            let path = self.manifest_path(id);
            let other = manifest.app.id;
            return Err(Failure::new(format!(
                "{} is the manifest of {other}",
                shown(&path.to_string_lossy())
            )));
        }
        Ok(manifest)
    }

    /// What was decided about an app.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn grants(&self, id: &str) -> Result<Grants, Failure> {
        match optional(&self.grants_path(id))? {
            None => Ok(Grants::none(id)),
            Some(source) => Grants::read(&Arc::new(source), id).map_err(|d| refused(&d)),
        }
    }

    /// Changes what was decided about an app. Others who change it wait.
    ///
    /// # Errors
    /// The files cannot be read or written.
    pub fn change(&self, id: &str, change: impl FnOnce(&mut Grants)) -> Result<Grants, Failure> {
        private_directory(&self.grants)?;
        let _held = locked(&self.grants.join(".lock"))?;
        let mut grants = self.grants(id)?;
        change(&mut grants);
        let text = grants.text().map_err(|e| Failure::new(format!("cannot keep grants: {e}")))?;
        replace(&self.grants_path(id), &text)?;
        Ok(grants)
    }

    /// Keeps an app's manifest.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn add(&self, id: &str, text: &str) -> Result<(), Failure> {
        private_directory(&self.manifests)?;
        replace(&self.manifest_path(id), text)
    }

    /// Removes an app's manifest and all decisions about it. Whether there was any of them.
    ///
    /// # Errors
    /// They cannot be removed.
    pub fn forget(&self, id: &str) -> Result<bool, Failure> {
        // Decisions last: without its manifest an app does not run, whatever was decided.
        let mut found = false;
        for path in [self.manifest_path(id), self.grants_path(id)] {
            match std::fs::remove_file(&path) {
                Ok(()) => found = true,
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
                Err(e) => {
                    return Err(Failure::new(format!(
                        "cannot remove {}: {e}",
                        shown(&path.to_string_lossy())
                    )));
                }
            }
        }
        Ok(found)
    }
}

/// Decisions that were made when a run asked, to hold from then on.
#[derive(Debug, Clone)]
pub struct Asked {
    directory: PathBuf,
}

impl Asked {
    /// Those of this user.
    pub fn new(env: &Environment) -> Self {
        Self { directory: env.data.join("swathe") }
    }

    fn path(&self) -> PathBuf {
        self.directory.join("asked.toml")
    }

    /// All of them.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn read(&self) -> Result<Standing, Failure> {
        match optional(&self.path())? {
            None => Ok(Standing::default()),
            Some(source) => Standing::read(&Arc::new(source)).map_err(|d| refused(&d)),
        }
    }

    /// Changes them. Others who change them wait.
    ///
    /// # Errors
    /// The files cannot be read or written.
    pub fn change<T>(&self, change: impl FnOnce(&mut Standing) -> T) -> Result<T, Failure> {
        private_directory(&self.directory)?;
        let _held = locked(&self.directory.join(".asked.lock"))?;
        let mut standing = self.read()?;
        let result = change(&mut standing);
        let text = standing
            .text()
            .map_err(|e| Failure::new(format!("cannot keep what was decided: {e}")))?;
        replace(&self.path(), &text)?;
        Ok(result)
    }
}

/// A lock that is held as long as its file is open.
fn locked(path: &Path) -> Result<File, Failure> {
    let failed = |e: std::io::Error| {
        Failure::new(format!("cannot lock {}: {e}", shown(&path.to_string_lossy())))
    };
    let mut options = OpenOptions::new();
    let options = options.create(true).truncate(false).write(true).mode(0o600);
    let held: File = options.open(path).map_err(failed)?;
    rustix::fs::flock(&held, rustix::fs::FlockOperation::LockExclusive)
        .map_err(|e| failed(e.into()))?;
    Ok(held)
}

fn optional(path: &Path) -> Result<Option<SourceText>, Failure> {
    match std::fs::symlink_metadata(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        _ => read(path).map(Some).map_err(Failure::new),
    }
}

/// Makes a directory that only the user can enter, and those above it.
///
/// # Errors
/// It cannot be made.
pub fn private_directory(path: &Path) -> Result<(), Failure> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|e| Failure::new(format!("cannot make {}: {e}", shown(&path.to_string_lossy()))))
}

/// Writes a file of the user's own so that others see the old or the new text, whatever happens.
///
/// # Errors
/// It cannot be written.
pub fn replace(path: &Path, text: &str) -> Result<(), Failure> {
    write(path, text, |temporary| std::fs::rename(temporary, path))
}

/// The same for a file that is not there yet.
///
/// # Errors
/// It cannot be written, or is there.
pub fn create(path: &Path, text: &str) -> Result<(), Failure> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    write(path, text, |temporary| {
        Ok(renameat_with(CWD, temporary, CWD, path, RenameFlags::NOREPLACE)?)
    })
}

fn write(
    path: &Path,
    text: &str,
    put: impl Fn(&Path) -> std::io::Result<()>,
) -> Result<(), Failure> {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{}", std::process::id()));
    let temporary = path.with_file_name(name);
    let write = || -> std::io::Result<()> {
        let mut options = OpenOptions::new();
        let options = options.create_new(true).write(true).mode(0o600);
        let mut file = match options.open(&temporary) {
            // Left by a process of our id that was killed.
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {
                std::fs::remove_file(&temporary)?;
                options.open(&temporary)?
            }
            file => file?,
        };
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        put(&temporary)
    };
    write().map_err(|e| {
        drop(std::fs::remove_file(&temporary));
        Failure::new(format!("cannot write {}: {e}", shown(&path.to_string_lossy())))
    })
}

/// Seconds since 1970.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
