//! Deleted paths, and what goes with them.

use super::compare::{Side, conflict};
use super::walk::{Here, Walk};
use crate::base::Found;
use crate::change::{ChangeKind, Conflict, Mark};
use crate::dir::{Dir, join};
use crate::error::{Error, ErrorKind, Result, Step as _};
use crate::meta::FileKind;
use rustix::io::Errno;
use swathe_record::bytes::Bytes;

impl Walk<'_> {
    /// A path that the program deleted. `implied`: because its directory is new.
    pub(super) fn deleted(
        &mut self,
        here: &Here<'_>,
        name: &[u8],
        path: &[u8],
        implied: bool,
    ) -> Result<()> {
        let old = match here.lower {
            Some(lower) => lower.stat(name).step("look at", path)?.map(|meta| (lower, meta)),
            None => None,
        };
        let Some((dir, old)) = old else {
            let was = self.base.is_some_and(|base| matches!(base.find(path), Found::Entry(_)));
            if !was {
                self.odd(path, "it is deleted, but the host has nothing there");
            }
            return Ok(());
        };
        let low = Side { dir, meta: old };
        let mut own = self.change(path, ChangeKind::Deleted, Some(old), None);
        own.conflict = conflict(self.base, path, Some(low), name, false).step("compare", path)?;
        if implied && own.conflict == Some(Conflict::Created) {
            self.odd(path, "the host made it in a directory that the program replaced: it stays");
            return Ok(());
        }
        if old.dev != self.devices.0 {
            own.conflict = Some(Conflict::Mounted);
        }
        if old.kind == FileKind::Symlink {
            own.old_target = dir.link(name).ok().map(Bytes);
        }
        here.mark(&mut own);
        let index = self.push(own)?;
        if old.is_dir() { self.gone_below(dir, name, path, index, here.depth) } else { Ok(()) }
    }

    /// Lists what goes with a deleted directory of the host.
    pub(super) fn gone_below(
        &mut self,
        above: &Dir,
        name: &[u8],
        path: &[u8],
        top: usize,
        depth: usize,
    ) -> Result<()> {
        let clash = |walk: &mut Self, conflict| {
            if let Some(change) = walk.set.changes.get_mut(top) {
                change.conflict = change.conflict.or(Some(conflict));
            }
        };
        let dir = match above.at(name) {
            Ok(dir) => dir,
            Err(Errno::XDEV) => {
                clash(self, Conflict::Mounted);
                return Ok(());
            }
            Err(errno) => return Err(Error::system("open", path, errno)),
        };
        if depth > 400 {
            let text = format!("{} is too deep", Bytes(path.to_vec()));
            return Err(Error::new(ErrorKind::TooMuch, text));
        }
        let names = match dir.list() {
            // Nobody can say what would go with it.
            Err(Errno::ACCESS) => {
                if let Some(change) = self.set.changes.get_mut(top) {
                    change.marks.push(Mark::Unreadable);
                    change.marks.sort_unstable();
                    change.marks.dedup();
                }
                return Ok(());
            }
            other => other.step("list", path)?,
        };
        for name in names {
            let below = join(path, &name);
            let Some(meta) = dir.stat(&name).step("look at", &below)? else { continue };
            let low = Side { dir: &dir, meta };
            let mut own = self.change(&below, ChangeKind::Deleted, Some(meta), None);
            own.part_of = Some(top);
            own.conflict =
                conflict(self.base, &below, Some(low), &name, false).step("compare", &below)?;
            if own.conflict.is_some() {
                clash(self, Conflict::Below);
            }
            if meta.kind == FileKind::Symlink {
                own.old_target = dir.link(&name).ok().map(Bytes);
            }
            self.push(own)?;
            if meta.is_dir() {
                self.gone_below(&dir, &name, &below, top, depth + 1)?;
            }
        }
        Ok(())
    }
}
