//! What root of a namespace of its own could do: each first becomes that, and then tries.

use crate::check::facts::Facts;
use crate::check::probe::{
    Class, Finding, Layer, Probe, absent, closed, open, probe, reached, words,
};
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_bind, mount_change};
use rustix::thread::UnshareFlags;
use swathe_sys::probe::socket;
use swathe_sys::process::unshare;

use Class::{Escape, Surface};
use Layer::Seccomp;

const NETLINK: i32 = 16;
const NETFILTER: i32 = 12;
const PACKET: i32 = 17;
const RAW: i32 = 3;

pub const PROBES: &[Probe] = &[
    probe("nested-mount", Surface, Seccomp, "mount as root of a namespace", |f| {
        nested(UnshareFlags::NEWNS, || {
            private()?;
            mount(c"tmpfs", &f.scratch, c"tmpfs", MountFlags::empty(), None)
        })
    }),
    probe("nested-bind", Escape, Seccomp, "bind directories over others there", |f| {
        nested(UnshareFlags::NEWNS, || {
            private()?;
            mount_bind(&f.shown, &f.scratch)
        })
    }),
    probe("nested-overlay", Surface, Seccomp, "mount an overlay there", |f| {
        let lower = f.shown.display().to_string().replace([',', ':', '\\'], "_");
        let options = std::ffi::CString::new(format!("lowerdir={lower}:/proc")).unwrap_or_default();
        nested(UnshareFlags::NEWNS, || {
            private()?;
            mount(c"overlay", &f.scratch, c"overlay", MountFlags::empty(), Some(options.as_c_str()))
        })
    }),
    probe("nested-new-mount", Surface, Seccomp, "use the new mount calls there", |_| {
        nested(UnshareFlags::NEWNS, || {
            let flags = rustix::mount::FsOpenFlags::FSOPEN_CLOEXEC;
            rustix::mount::fsopen(c"tmpfs", flags).map(drop)
        })
    }),
    probe("nested-proc", Surface, Seccomp, "mount a procfs there", |f| {
        nested(UnshareFlags::NEWNS, || {
            private()?;
            mount(c"proc", &f.scratch, c"proc", MountFlags::empty(), None)
        })
    }),
    probe("nested-firewall", Surface, Seccomp, "change firewalls there (nf_tables)", |_| {
        nested(UnshareFlags::NEWNET, || socket(NETLINK, RAW, NETFILTER))
    }),
    probe("nested-packets", Surface, Seccomp, "make raw packets there", |_| {
        nested(UnshareFlags::NEWNET, || socket(PACKET, RAW, 0))
    }),
    probe("nested-chroot", Escape, Seccomp, "climb out by chroot there", climb),
];

fn private() -> rustix::io::Result<()> {
    let flags = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    mount_change("/", flags)
}

/// Becomes root of new namespaces, and then tries.
fn nested(flags: UnshareFlags, then: impl FnOnce() -> rustix::io::Result<()>) -> Finding {
    match unshare(UnshareFlags::NEWUSER | flags) {
        Ok(()) => reached(then()),
        Err(e) => closed(format!("no namespace: {}", words(e))),
    }
}

/// The oldest way out: a directory that is held, and a root below it.
fn climb(facts: &Facts) -> Finding {
    use std::os::unix::fs::MetadataExt as _;
    let identity = |path: &str| std::fs::metadata(path).map(|m| (m.dev(), m.ino()));
    let Ok(root) = identity("/") else { return absent("there is no /") };
    if let Err(e) = unshare(UnshareFlags::NEWUSER) {
        return closed(format!("no namespace: {}", words(e)));
    }
    // Held while the root goes below it; then up as far as it goes.
    let climbed = std::env::set_current_dir("/")
        .and_then(|()| Ok(rustix::process::chroot(&facts.scratch)?))
        .and_then(|()| std::env::set_current_dir("../../../../../../../.."))
        .and_then(|()| identity("."));
    match climbed {
        Ok(here) if facts.inside && here == root => closed("it ends at the sandbox's root"),
        Ok(_) => open("climbed"),
        Err(e) => closed(words(e)),
    }
}
