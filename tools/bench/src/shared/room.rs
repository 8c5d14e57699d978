//! What the benchmarks of whole jobs share: commands of an ordinary user, their times, medians.

use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

/// Who runs the jobs, and where.
pub struct User {
    /// The user's number; only root can become another.
    pub id: u32,
    /// What holds `home` and `run`.
    pub room: PathBuf,
    /// The engine of `swathe`.
    pub engine: PathBuf,
    /// Variables besides.
    pub env: Vec<(&'static str, PathBuf)>,
}

impl User {
    /// A command of the user's, with an environment of its own.
    pub fn command<W: AsRef<str>>(&self, words: &[W], cwd: &Path) -> Command {
        let mut command = Command::new(words.first().map_or("true", AsRef::as_ref));
        command.args(words.iter().skip(1).map(AsRef::as_ref)).current_dir(cwd).env_clear();
        command
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", self.room.join("home"))
            .env("XDG_RUNTIME_DIR", self.room.join("run"))
            .env("SWATHE_BWRAP", &self.engine)
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        if std::fs::metadata("/proc/self").is_ok_and(|found| found.uid() == 0) {
            command.uid(self.id).gid(self.id);
        }
        command
    }
}

/// Runs a command, which has to succeed: the seconds that it took, and what it said.
pub fn timed(command: &mut Command) -> io::Result<(f64, String)> {
    let start = Instant::now();
    let output = command.output()?;
    let seconds = start.elapsed().as_secs_f64();
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(io::Error::other(format!("{command:?}: {}: {said}", output.status)));
    }
    Ok((seconds, String::from_utf8_lossy(&output.stdout).into_owned()))
}

/// Writes to standard output.
pub fn say(text: &str) -> io::Result<()> {
    io::stdout().write_all(text.as_bytes())
}

/// The middle one; NaN of none.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Writes the units of a build of 60, and the Makefile for them.
pub fn build_of_60(project: &Path) -> io::Result<()> {
    let make = "all: $(patsubst %.c,%.o,$(wildcard *.c))\n\t@ar rc all.a *.o\n\
                clean:\n\t@rm -f *.o all.a\n%.o: %.c\n\t@gcc -O1 -c $< -o $@\n";
    std::fs::write(project.join("Makefile"), make)?;
    for number in 0..60 {
        let text = format!(
            "#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n\
             int f{number}(const char *s) {{ return printf(\"%zu\\n\", strlen(s)); }}\n"
        );
        std::fs::write(project.join(format!("u{number}.c")), text)?;
    }
    Ok(())
}
