//! The first operations: what the sandbox's root is, and the payload in it.

use super::Gen;
use crate::vector::{FdSpec, Item};

/// Directories of the world that everybody may read, with files in them.
const WORLD_DIRS: [&str; 13] = [
    "/h/src",
    "/h/src/d1",
    "/h/src/d1/sub",
    "/h/rw",
    "/h/rw/in",
    "/tmp",
    "/home/u",
    "/m/plain",
    "/m/plain/nest",
    "/etc",
    "/mnt",
    "/opt/closed/open",
    "/var/lib",
];
const WORLD_FILES: [&str; 6] =
    ["/h/src/a", "/h/src/b", "/h/src/d1/f1", "/h/rw/w", "/etc/passwd", "/home/u/note"];

/// Chooses the root.
pub(super) fn choose(g: &mut Gen) {
    match g.rng.below(100) {
        0..36 => empty_root(g),
        36..56 => host_root(g, "--ro-bind"),
        56..70 => host_root(g, "--bind"),
        70..82 => host_root(g, "--dev-bind"),
        82..92 => {
            // A file system on the root itself.
            if g.rng.chance(30) {
                let mode = *g.rng.pick(&["0755", "700", "0555", "1777"]);
                g.push(&["--perms", mode, "--tmpfs", "/"]);
            } else {
                g.push(&["--tmpfs", "/"]);
            }
            empty_root(g);
        }
        92..95 => {
            g.push(&["--overlay-src", "/", "--tmp-overlay", "/"]);
            world(g, true);
        }
        95..97 => {
            let flags = libc::O_RDONLY
                | libc::O_DIRECTORY
                | if g.rng.chance(50) { libc::O_PATH } else { 0 };
            let option = *g.rng.pick(&["--bind-fd", "--ro-bind-fd"]);
            g.items.push(Item::with_fd(option, FdSpec::Path(b"/".to_vec(), flags), &["/"]));
            world(g, option == "--bind-fd");
        }
        _ => {
            // Not first: something is made before the root is covered.
            g.push(&["--dir", "/before"]);
            host_root(g, "--ro-bind");
        }
    }
}

/// An own root, with the payload bound into it in one of many ways.
fn empty_root(g: &mut Gen) {
    g.model.writable.push("/".into());
    let flags = libc::O_RDONLY | libc::O_DIRECTORY;
    match g.rng.below(6) {
        0 => g.push(&["--bind", "/opt", "/opt"]),
        1 => g.push(&["--dev-bind", "/opt/differ", "/opt/differ"]),
        2 => {
            let spec = FdSpec::Path(b"/opt/differ".to_vec(), flags);
            g.items.push(Item::with_fd("--ro-bind-fd", spec, &["/opt/differ"]));
        }
        3 => {
            g.push(&["--ro-bind", "/opt/differ/probe", "/opt/differ/probe"]);
            g.model.writable.push("/opt/differ".into());
        }
        _ => g.push(&["--ro-bind", "/opt/differ", "/opt/differ"]),
    }
    g.model.mounts.push("/opt/differ".into());
    if g.rng.chance(30) {
        g.push(&["--ro-bind", "/usr", "/usr"]);
        g.model.mounts.push("/usr".into());
        for name in ["lib", "bin"] {
            if g.rng.chance(50) {
                g.push(&["--symlink", &format!("usr/{name}"), &format!("/{name}")]);
            }
        }
    }
    if g.rng.chance(25) {
        g.push(&["--dir", "/run"]);
        let target = *g.rng.pick(&["../run", "/run", "../../run", ".././run/"]);
        g.push(&["--symlink", target, "/var/run"]);
        g.model.writable.push("/run".into());
        g.model.links.push(("/var/run".into(), "/run".into()));
    }
    if g.rng.chance(25) {
        let option = *g.rng.pick(&["--bind", "--dev-bind", "--ro-bind"]);
        g.push(&[option, "/h", "/h"]);
        world(g, option != "--ro-bind");
        g.model.dirs.retain(|d| d.starts_with("/h"));
        g.model.files.retain(|d| d.starts_with("/h"));
        g.model.mounts.push("/h".into());
    }
}

fn host_root(g: &mut Gen, option: &str) {
    let option = if g.rng.chance(10) { format!("{option}-try") } else { option.to_string() };
    let from = *g.rng.pick(&["/", "/", "/", "/", "//", "/.", "/usr/.."]);
    let to = *g.rng.pick(&["/", "/", "/", "//"]);
    g.push(&[option.as_str(), from, to]);
    world(g, !option.starts_with("--ro"));
    if option.starts_with("--ro") {
        return;
    }
    if !g.plain {
        g.model.links.push(("/var/run".into(), "/run".into()));
    }
    g.model.links.push(("/h/src/lnk-dir".into(), "/h/src/d1".into()));
    g.model.links.push(("/h/src/lnk-abs".into(), "/h/src/d1".into()));
}

/// The world's files are visible, writable or not.
fn world(g: &mut Gen, writable: bool) {
    g.model.dirs.extend(WORLD_DIRS.iter().map(|d| d.to_string()));
    g.model.files.extend(WORLD_FILES.iter().map(|d| d.to_string()));
    g.model.mounts.extend(["/".into(), "/m/plain".into()]);
    if writable {
        g.model.writable.extend(["/h/rw", "/tmp", "/h/src/d2", "/home/u"].map(String::from));
    } else {
        g.model.writable.retain(|w| w != "/");
    }
}
