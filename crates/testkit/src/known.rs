//! Where the original does not do what the contract says.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use crate::binary::{Bwrap, Side};

impl Bwrap {
    /// Runs `checks` on ours. On the original they must fail, for the reason that
    /// docs/known-differences.md gives under `id`.
    ///
    /// # Panics
    ///
    /// When `checks` fails on ours, when it passes on the original, since then the difference is
    /// closed and its entry has to go, and when the document has no entry `id`.
    #[track_caller]
    pub fn original_differs(&self, id: &str, checks: impl FnOnce()) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/known-differences.md");
        let document = std::fs::read_to_string(path).expect("docs/known-differences.md");
        let heading = format!("| `{id}` |");
        assert!(document.contains(&heading), "docs/known-differences.md has no entry {id}");
        if self.side == Side::Ours {
            checks();
        } else {
            let failed = catch_unwind(AssertUnwindSafe(checks)).is_err();
            assert!(failed, "known difference {id} is closed: the original passes its checks");
        }
    }
}
