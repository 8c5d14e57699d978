//! What names say together: several of one file, and some that differ only by letter case.

use super::walk::Walk;
use crate::change::Mark;
use std::collections::{HashMap, HashSet};

impl Walk<'_> {
    /// Marks added names that differ from others only by letter case.
    pub(super) fn twins(&mut self, added: &[(&[u8], usize)], all: &HashSet<Vec<u8>>) {
        if added.is_empty() {
            return;
        }
        let fold = |name: &[u8]| String::from_utf8_lossy(name).to_lowercase();
        let mut counts: HashMap<String, u32> = HashMap::new();
        for name in all {
            *counts.entry(fold(name)).or_default() += 1;
        }
        for (name, index) in added {
            if counts.get(&fold(name)).is_some_and(|count| *count > 1)
                && let Some(change) = self.set.changes.get_mut(*index)
            {
                change.marks.push(Mark::CaseTwin);
                change.marks.sort_unstable();
            }
        }
    }

    /// Joins the names of one file, and marks those of which the workspace lacks one. What is only
    /// another name of unchanged files is no change.
    pub(super) fn join_links(&mut self) {
        let mut idle = HashSet::new();
        for (nlink, indices) in self.links.values() {
            let is_idle =
                |index: &usize| self.set.changes.get(*index).is_some_and(|c| c.parts.links);
            if indices.iter().all(is_idle) {
                idle.extend(indices.iter().copied());
                continue;
            }
            let mut first = None;
            for index in indices {
                let Some(change) = self.set.changes.get_mut(*index) else { continue };
                if change.new.is_some_and(|new| new.nlink != *nlink) {
                    change.marks.push(Mark::LinkedElsewhere);
                    change.marks.sort_unstable();
                }
                change.linked_to = first;
                first = first.or(Some(*index));
            }
        }
        if !idle.is_empty() {
            self.drop_changes(&idle);
        }
    }

    fn drop_changes(&mut self, idle: &HashSet<usize>) {
        let mut places = Vec::with_capacity(self.set.changes.len());
        let mut next = 0;
        for index in 0..self.set.changes.len() {
            places.push(next);
            next += usize::from(!idle.contains(&index));
        }
        let mut index = 0;
        self.set.changes.retain(|_| {
            index += 1;
            !idle.contains(&(index - 1))
        });
        let moved = |at: Option<usize>| at.and_then(|at| places.get(at).copied());
        for change in &mut self.set.changes {
            change.part_of = moved(change.part_of);
            change.linked_to = moved(change.linked_to);
        }
    }
}
