//! The command line of the benchmark.

use std::path::PathBuf;

use crate::rows::ROWS;

/// What `--help` prints.
pub const HELP: &str = "\
usage: bench [swathe] [options]
Measures our bwrap beside bubblewrap and beside the floor, then swathe beside our bwrap (with the
word `swathe` only that, with --rows only the former); see docs/benchmarks.md.

  --ours FILE      program under test (default: built from the workspace, release, static)
  --swathe FILE    the swathe command (default: built from the workspace, release, static)
  --oracle FILE    bubblewrap (default: $BWRAP_ORACLE, or .oracle/usr/bin/bwrap in the workspace)
  --floor FILE     the floor (default: built from the workspace)
  --payload FILE   the payload (default: built from the workspace)
  --rows A,B       only these rows, and those they are computed from (default: all)
  --list           print the names of the rows
  -n N             rounds of the timed rows (default 200)
  --warm N         rounds before them that are not counted (default 3)
  --gap US         idle time after each launch (default 0)
  --seed N         of the random order (default: from the clock)
  --user UID       measure as this user when started as root (default 54321)
  --dir DIR        where the run's files are made (default /var/tmp)
  --json FILE      write the figures there too
  --quick          fewer rounds, for CI: records all, fails only on what does not depend on the
                   machine (exit status 1 when such a target is missed)
";

/// The parsed command line.
#[derive(Debug)]
pub struct Args {
    /// `--ours`
    pub ours: Option<PathBuf>,
    /// `--swathe`
    pub swathe: Option<PathBuf>,
    /// The word `swathe`: only that command's part
    pub only_swathe: bool,
    /// `--oracle`
    pub oracle: Option<PathBuf>,
    /// `--floor`
    pub floor: Option<PathBuf>,
    /// `--payload`
    pub payload: Option<PathBuf>,
    /// `--rows`, all of them when empty
    pub rows: Vec<String>,
    /// `--list`
    pub list: bool,
    /// `--help`
    pub help: bool,
    /// `-n`
    pub rounds: usize,
    /// `--warm`
    pub warm: usize,
    /// `--gap`, µs
    pub gap: u64,
    /// `--seed`
    pub seed: u64,
    /// `--user`
    pub user: u32,
    /// `--dir`
    pub dir: PathBuf,
    /// `--json`
    pub json: Option<PathBuf>,
    /// `--quick`
    pub quick: bool,
    /// Slices of the rate rows; follows from `--quick`.
    pub slices: usize,
    /// Length of a slice, ms; follows from `--quick`.
    pub slice: u64,
}

impl Args {
    /// Whether bwrap is measured beside others.
    pub fn launches(&self) -> bool {
        !self.only_swathe
    }

    /// Whether swathe is measured beside bwrap.
    pub fn swathe_part(&self) -> bool {
        self.rows.is_empty()
    }
}

/// Parses the words after the program's name; the error is a sentence for the caller.
pub fn parse(words: impl IntoIterator<Item = String>) -> Result<Args, String> {
    let mut args = Args {
        ours: None,
        swathe: None,
        only_swathe: false,
        oracle: None,
        floor: None,
        payload: None,
        rows: Vec::new(),
        list: false,
        help: false,
        rounds: 0,
        warm: 3,
        gap: 0,
        seed: std::time::UNIX_EPOCH.elapsed().map_or(1, |d| d.as_nanos() as u64),
        user: 54321,
        dir: PathBuf::from("/var/tmp"),
        json: None,
        quick: false,
        slices: 5,
        slice: 600,
    };
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or(format!("{word} needs a value"));
        match word.as_str() {
            "--ours" => args.ours = Some(value()?.into()),
            "swathe" => args.only_swathe = true,
            "--swathe" => args.swathe = Some(value()?.into()),
            "--oracle" => args.oracle = Some(value()?.into()),
            "--floor" => args.floor = Some(value()?.into()),
            "--payload" => args.payload = Some(value()?.into()),
            "--rows" => args.rows.extend(value()?.split(',').map(str::to_owned)),
            "--list" => args.list = true,
            "--help" | "-h" => args.help = true,
            "-n" => args.rounds = number(&word, &value()?)?,
            "--warm" => args.warm = number(&word, &value()?)?,
            "--gap" => args.gap = number(&word, &value()?)?,
            "--seed" => args.seed = number(&word, &value()?)?,
            "--user" => args.user = number(&word, &value()?)?,
            "--dir" => args.dir = value()?.into(),
            "--json" => args.json = Some(value()?.into()),
            "--quick" => args.quick = true,
            _ => return Err(format!("unknown option {word}")),
        }
    }
    if let Some(name) = args.rows.iter().find(|n| ROWS.iter().all(|r| r.name != **n)) {
        return Err(format!("no row is named {name}; --list prints the names"));
    }
    if args.only_swathe && !args.rows.is_empty() {
        return Err("--rows names rows of the other part".into());
    }
    if args.user == 0 {
        return Err("--user 0 would measure as root, which bubblewrap treats differently".into());
    }
    if args.quick {
        (args.slices, args.slice) = (3, 200);
    }
    if args.rounds == 0 {
        args.rounds = if args.quick { 40 } else { 200 };
    }
    Ok(args)
}

fn number<T: std::str::FromStr>(word: &str, value: &str) -> Result<T, String> {
    value.parse().map_err(|_| format!("{word} needs a number, not {value}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(words: &[&str]) -> Result<Args, String> {
        parse(words.iter().map(|w| (*w).to_owned()))
    }

    /// Rows are split at commas, and `--quick` lowers the rounds unless they are given.
    #[test]
    fn reads_options() {
        let args = of(&["--rows", "min,std", "--quick"]).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!((args.rows, args.rounds), (vec!["min".to_owned(), "std".to_owned()], 40));
        assert_eq!(of(&["--quick", "-n", "7"]).map(|a| a.rounds), Ok(7));
    }

    /// What cannot be meant is refused with the word that is wrong.
    #[test]
    fn refuses() {
        for (words, part) in [
            (&["--rows", "nosuch"][..], "nosuch"),
            (&["-n", "x"], "not x"),
            (&["-n"], "-n needs a value"),
            (&["--frobnicate"], "--frobnicate"),
            (&["--user", "0"], "root"),
            (&["swathe", "--rows", "min"], "--rows"),
        ] {
            let error = of(words).err().unwrap_or_default();
            assert!(error.contains(part), "{words:?}: {error}");
        }
    }
}
