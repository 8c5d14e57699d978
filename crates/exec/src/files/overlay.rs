//! Overlay mounts (overlayfs, Documentation/filesystems/overlayfs.rst).
//!
//! Layers are named by descriptors (`self/fd/N` below procfs, which is the working directory
//! meanwhile): a path with commas, colons or backslashes needs no escaping, and no path is walked
//! again.

use crate::failure::{At, Failure, Result, Stage};
use crate::files::build::Builder;
use crate::files::mounts::{NewFs, fd_path};
use crate::files::root::Attach;
use crate::files::root::PointKind;
use alloc::ffi::CString;
use alloc::format;
use alloc::vec;
use alloc::vec::Vec;
use core::ffi::CStr;
use swathe_plan::model::OverlayUpper;
use swathe_sys::Errno;
use swathe_sys::mount::attr;
use swathe_sys::rustix::fd::{AsFd, OwnedFd};
use swathe_sys::rustix::fs::{self, Mode, OFlags};
use swathe_sys::rustix::process::fchdir;

impl Builder<'_> {
    pub(super) fn overlay(
        &mut self,
        index: usize,
        layers: usize,
        upper: &OverlayUpper,
        mut fds: Vec<OwnedFd>,
    ) -> Result<()> {
        let prepared = self.prepared;
        let target = &prepared.targets[index];
        let place = self.root.point(target, PointKind::Directory)?;
        if *upper == OverlayUpper::Tmp {
            let (upper, work) = self.tmp_upper()?;
            fds.extend([upper, work]);
        }
        let mut options = vec![(c"userxattr", CString::default())];
        if let Some([upper, work]) = fds.get(layers..) {
            options.push((c"upperdir", fd_path(upper.as_fd())));
            options.push((c"workdir", fd_path(work.as_fd())));
        }
        // overlayfs takes the topmost layer first.
        let lower: Vec<CString> =
            fds[..layers].iter().rev().map(|fd| fd_path(fd.as_fd())).collect();
        fchdir(self.mounter.proc_fd()).at(Stage::Overlay)?;
        self.mount_overlay(options, &lower, place)
    }

    fn mount_overlay(
        &mut self,
        mut options: Vec<(&'static CStr, CString)>,
        lower: &[CString],
        place: Attach,
    ) -> Result<()> {
        let joined = lower.iter().map(|l| l.to_bytes()).collect::<Vec<_>>().join(&b':');
        let joined = CString::new(joined).unwrap_or_default();
        // One option takes 255 bytes; several layers one by one need Linux 6.7.
        if joined.to_bytes().len() < 256 || !self.mounter.kernel.mount_fds {
            options.push((c"lowerdir", joined));
        } else {
            options.extend(lower.iter().map(|l| (c"lowerdir+", l.clone())));
        }
        let attrs = attr::NOSUID | attr::NODEV;
        let new = NewFs { kind: c"overlay", options: &options, attrs };
        match self.mounter.attach_new(&new, &mut self.root, place, Stage::Overlay) {
            Ok(_) => Ok(()),
            Err(f) if f.error() == Some(Errno::LOOP) => Err(Failure::found(Stage::OverlayOverlap)),
            Err(f) => Err(f),
        }
    }

    fn tmp_upper(&mut self) -> Result<(OwnedFd, OwnedFd)> {
        let Some(scratch) = &self.scratch else {
            return Err(Failure::found(Stage::Scratch));
        };
        let number = self.overlays;
        self.overlays += 1;
        let make = |name: &str| {
            let name = CString::new(format!("tmp-overlay-{name}-{number}")).unwrap_or_default();
            fs::mkdirat(scratch, &name, Mode::from_raw_mode(0o755)).at(Stage::Scratch)?;
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            fs::openat(scratch, &name, flags, Mode::empty()).at(Stage::Scratch)
        };
        Ok((make("upper")?, make("work")?))
    }
}
