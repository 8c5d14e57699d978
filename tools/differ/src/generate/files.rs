//! File-system operations.

use super::Gen;
use crate::vector::{FdSpec, Item};
use crate::world::ODD;

/// Directories of the world to bind.
const DIRS: [&str; 30] = [
    "/h/src",
    "/h/src/d1",
    "/h/src/d2",
    "/h/src/d1/sub",
    "/h/src/lnk-dir",
    "/h/src/lnk-abs",
    "/h/rw",
    "/h/rw/in-abs",
    "/h/rw/in-link",
    "/h/low",
    "/h/group",
    "/h/sticky",
    "/h/0711",
    "/h/noperm",
    "/m",
    "/m/plain",
    "/m/ro",
    "/m/noexec",
    "/m/nosym",
    "/m/noatime",
    "/m/strict",
    "/m/nodir",
    "/m/private",
    "/m/slave",
    "/m/unbindable",
    "/opt/closed/open",
    "/opt/closed",
    "/etc",
    "/home",
    "/h/src/d1/../d2/./",
];
/// Files of the world to bind.
const FILES: [&str; 15] = [
    "/h/src/a",
    "/h/src/b",
    "/h/src/exec",
    "/h/src/ro",
    "/h/src/empty",
    "/h/src/lnk-file",
    "/h/src/fifo",
    "/h/src/sock",
    "/h/src/d1/f1",
    "/m/one-file",
    "/m/ro/f",
    "/etc/resolv.conf",
    "/dev/null",
    "/dev/zero",
    "/proc/self/ns/user",
];
const MODES: [&str; 12] =
    ["0", "000", "0000", "0700", "755", "0777", "1777", "0555", "7777", "4755", "0640", "0400"];

/// Adds one operation (with its modifiers, or with what it needs).
pub(super) fn operation(g: &mut Gen) {
    match g.rng.below(100) {
        0..24 => bind(g),
        24..28 => bind_fd(g),
        28..34 => remount(g),
        34..43 => tmpfs(g),
        43..51 => dir(g),
        51..60 => data(g),
        60..68 => symlink(g),
        68..74 => chmod(g),
        74..80 => overlay(g),
        80..85 => proc(g),
        85..90 => dev(g),
        90..93 => mqueue(g),
        93..96 => planted(g),
        _ => repeat(g),
    }
}

fn perms(g: &mut Gen, words: &mut Vec<String>, percent: usize) {
    if g.rng.chance(percent) {
        words.extend(["--perms".into(), (*g.rng.pick(&MODES)).into()]);
    }
}

fn bind(g: &mut Gen) {
    const KINDS: [&str; 6] =
        ["--bind", "--ro-bind", "--dev-bind", "--bind-try", "--ro-bind-try", "--dev-bind-try"];
    let option = *g.rng.pick(&KINDS);
    let file = g.rng.chance(40);
    if g.rng.chance(10) {
        let from: Vec<u8> = [b"/h/odd/", *g.rng.pick(&ODD)].concat();
        let dest = g.dir_dest();
        let dest = if g.rng.chance(40) {
            [dest.as_bytes(), b"/", *g.rng.pick(&ODD)].concat()
        } else {
            dest.into()
        };
        return g.push(&[option.as_bytes(), &from, &dest]);
    }
    let mut from = (*if file { g.rng.pick(&FILES) } else { g.rng.pick(&DIRS) }).to_string();
    let dest = if file { g.file_dest() } else { g.dir_dest() };
    if option.ends_with("-try") && g.rng.chance(40) {
        from = (*g.rng.pick(&[
            "/h/missing",
            "/h/missing/below",
            "/h/nothing",
            "h/nothing",
            "/nowhere",
            "/h/src/a/below",
            "/h/src/lnk-dangling",
            "/h/src/lnk-loop",
        ]))
        .into();
    } else if g.rng.chance(1) {
        from =
            (*g.rng.pick(&["/h/missing", "/h/src/lnk-dangling", "/h/src/lnk-loop", "/h/src/a/"]))
                .into();
    } else if !file {
        g.model.mounts.push(dest.clone());
        g.model.dirs.push(dest.clone());
        if !option.starts_with("--ro") && (from.starts_with("/h/rw") || from.starts_with("/h/src"))
        {
            g.model.writable.push(dest.clone());
        }
        if from == "/h/src/d1" {
            g.model.files.push(format!("{dest}/f1"));
            g.model.dirs.push(format!("{dest}/sub"));
        }
    } else {
        g.model.mounts.push(dest.clone());
        g.model.files.push(dest.clone());
    }
    if g.rng.chance(2) {
        from = from.trim_start_matches('/').into(); // relative to the caller's directory
    }
    let dest = g.spell(&dest);
    g.push(&[option, from.as_str(), dest.as_str()]);
}

fn bind_fd(g: &mut Gen) {
    let option = *g.rng.pick(&["--bind-fd", "--ro-bind-fd"]);
    let file = g.rng.chance(40);
    let path = *if file { g.rng.pick(&FILES[..5]) } else { g.rng.pick(&DIRS[..12]) };
    let flags =
        if g.rng.chance(60) || path.ends_with("ro") { libc::O_PATH } else { libc::O_RDONLY };
    let dest = if file { g.file_dest() } else { g.dir_dest() };
    let spelled = g.spell(&dest);
    g.items.push(Item::with_fd(option, FdSpec::Path(path.into(), flags), &[spelled]));
    g.model.mounts.push(dest.clone());
    if file { g.model.files.push(dest) } else { g.model.dirs.push(dest) }
}

fn remount(g: &mut Gen) {
    if g.model.mounts.is_empty() {
        return;
    }
    let dest = g.rng.pick(&g.model.mounts).clone();
    let spelled = g.spell(&dest);
    g.push(&["--remount-ro", spelled.as_str()]);
    g.model.writable.retain(|w| *w != dest);
}

fn tmpfs(g: &mut Gen) {
    let dest = g.dir_dest();
    let mut words = vec![];
    perms(g, &mut words, 35);
    if g.rng.chance(30) {
        let sizes = ["4096", "1048576", "0x10000", "010000000", "65537", "1"];
        words.extend(["--size".into(), (*g.rng.pick(&sizes)).into()]);
    }
    words.extend(["--tmpfs".into(), g.spell(&dest)]);
    let closed = words.iter().any(|w| w.starts_with('0') && w.len() < 5);
    g.push(&words);
    g.model.mounts.push(dest.clone());
    g.model.dirs.push(dest.clone());
    if !closed || !g.plain {
        g.model.writable.push(dest);
    }
}

fn dir(g: &mut Gen) {
    let dest = g.dir_dest();
    let mut words = vec![];
    perms(g, &mut words, 40);
    words.extend(["--dir".into(), g.spell(&dest)]);
    g.push(&words);
    g.model.dirs.push(dest.clone());
    g.model.writable.push(dest);
}

fn data(g: &mut Gen) {
    let option = *g.rng.pick(&["--file", "--bind-data", "--ro-bind-data"]);
    let dest = if option == "--file" { g.new_path() } else { g.file_dest() };
    let content = match g.rng.below(6) {
        0 => vec![],
        1 => vec![b'z'; 70_000],
        2 => b"\0\xff\nbytes".to_vec(),
        n => format!("data {n}\n").into_bytes(),
    };
    let spec = match g.rng.below(8) {
        0 => FdSpec::Path(b"/h/src/b".to_vec(), libc::O_RDONLY),
        1 | 2 if content.len() < 4096 => FdSpec::Pipe(content),
        _ => FdSpec::Data(content),
    };
    let mut item = Item::with_fd(option, spec, &[g.spell(&dest)]);
    if g.rng.chance(40) {
        let mode = *g.rng.pick(&MODES);
        let mut words = Item::new(&["--perms", mode]).words;
        words.append(&mut item.words);
        item.words = words;
    }
    g.items.push(item);
    if option != "--file" {
        g.model.mounts.push(dest.clone());
    }
    g.model.files.push(dest);
}

fn symlink(g: &mut Gen) {
    let target =
        *g.rng.pick(&["a", "/tmp", "../b", "/nowhere", "", "usr/lib", "/h/src/d1", "x y\n"]);
    if target.is_empty() {
        // An existing one with the same target.
        return g.push(&["--symlink", "a", "/h/src/lnk-file"]);
    }
    let dest = g.new_path();
    let spelled = g.spell(&dest);
    g.push(&["--symlink", target, spelled.as_str()]);
    if g.rng.chance(30) {
        let again = if g.rng.chance(80) { target } else { "other" };
        g.push(&["--symlink", again, dest.as_str()]);
    }
    if target == "/tmp" && !g.model.writable.is_empty() {
        g.model.links.push((dest, "/tmp".into()));
    }
}

fn chmod(g: &mut Gen) {
    let file = g.rng.chance(50);
    let list = if file { &g.model.files } else { &g.model.dirs };
    if list.is_empty() {
        return;
    }
    let path = g.rng.pick(list).clone();
    let mode = *g.rng.pick(&MODES);
    let spelled = g.spell(&path);
    g.push(&["--chmod", mode, spelled.as_str()]);
}

fn overlay(g: &mut Gen) {
    let dest = g.dir_dest();
    let mut sources = 1 + g.rng.below(3);
    let option = *g.rng.pick(&["--overlay", "--tmp-overlay", "--ro-overlay"]);
    if option == "--ro-overlay" && g.rng.chance(90) {
        sources = sources.max(2);
    }
    let mut pool: Vec<Vec<u8>> =
        ["/h/src/d1", "/h/src/d2", "/h/low", "/m/ro", "/etc", "/h/src/lnk-abs"]
            .iter()
            .map(|p| p.as_bytes().to_vec())
            .collect();
    pool.extend(ODD.iter().map(|o| [b"/h/odd/", *o].concat()));
    // One item: nothing may stand between the sources and their overlay.
    let mut words: Vec<Vec<u8>> = vec![];
    for _ in 0..sources {
        let at = g.rng.below(pool.len());
        let source = if g.rng.chance(95) { pool.swap_remove(at) } else { pool[at].clone() };
        words.extend([b"--overlay-src".to_vec(), source]);
    }
    words.push(option.into());
    if option == "--overlay" {
        let upper = if g.rng.chance(90) { "/h/up" } else { "/h/low" };
        words.extend([upper.into(), b"/h/work".to_vec()]);
    }
    words.push(g.spell(&dest).into_bytes());
    g.push(&words);
    g.model.mounts.push(dest.clone());
    g.model.dirs.push(dest.clone());
    if option != "--ro-overlay" {
        g.model.writable.push(dest);
    }
}

fn proc(g: &mut Gen) {
    let dest = if g.rng.chance(75) { "/proc".to_string() } else { g.dir_dest() };
    let spelled = g.spell(&dest);
    g.push(&["--proc", spelled.as_str()]);
    g.model.mounts.push(dest);
}

fn dev(g: &mut Gen) {
    let dest = if g.rng.chance(75) { "/dev".to_string() } else { g.dir_dest() };
    let spelled = g.spell(&dest);
    g.push(&["--dev", spelled.as_str()]);
    g.model.mounts.push(dest.clone());
    g.model.writable.push(format!("{dest}/shm"));
    g.model.files.push(format!("{dest}/null"));
}

fn mqueue(g: &mut Gen) {
    if !g.ipc && g.rng.chance(85) {
        return;
    }
    let dest = g.dir_dest();
    let spelled = g.spell(&dest);
    g.push(&["--mqueue", spelled.as_str()]);
    g.model.mounts.push(dest);
}

/// Destinations at or below symbolic links that lie in a writable bind: nothing on the host may
/// change, and both programs must say the same.
fn planted(g: &mut Gen) {
    g.push(&["--bind", "/h/rw", "/rw"]);
    let link =
        *g.rng.pick(&["/rw/old-dir", "/rw/old-new", "/rw/up-new", "/rw/in-link", "/rw/in-abs"]);
    let below = if g.rng.chance(50) { "" } else { "/below" };
    let dest = format!("{link}{below}");
    match g.rng.below(7) {
        0 => g.push(&["--dir", &dest]),
        1 => g.items.push(Item::with_fd("--file", FdSpec::Data(b"planted".to_vec()), &[dest])),
        2 => g.push(&["--chmod", "0777", &dest]),
        3 => g.push(&["--tmpfs", &dest]),
        4 => g.push(&["--symlink", "x", &dest]),
        5 => g.push(&["--ro-bind", "/dev/null", &dest]),
        _ => g.push(&["--bind", "/h/src/d1", &dest]),
    }
}

/// The same operation again: binds over binds.
fn repeat(g: &mut Gen) {
    if g.items.is_empty() {
        return;
    }
    let item = g.rng.pick(&g.items).clone();
    // Overlay sources without their overlay would only be refused.
    if !item.name().starts_with("--overlay") && !item.name().contains("overlay") {
        g.items.push(item);
    }
}
