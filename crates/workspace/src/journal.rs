//! The journal of a change.

use crate::dir::Dir;

/// Whether a change was begun and not ended.
pub(crate) fn is_open(dir: &Dir) -> bool {
    !matches!(dir.stat(b"journal"), Ok(None))
}
