//! What the tests of a `bwrap` share.
//!
//! A [`Bwrap`] is a binary together with the user that runs it; the [`contract!`] macro turns one
//! function over it into four tests: the binary of this workspace and the original bubblewrap, each
//! as root and as an ordinary user. Where the original does not do what the contract says, the test
//! says so with [`Bwrap::original_differs`], which fails as soon as the difference is gone.
//!
//! | Variable | Meaning |
//! |---|---|
//! | `SWATHE_TEST_BWRAP` | the binary under test instead of the workspace's own |
//! | `BWRAP_ORACLE` | bubblewrap 0.13.1; else `.oracle/usr/bin/bwrap` of the workspace, which `scripts/get-oracle` makes; without either the comparison is left out, with a notice |
//! | `SWATHE_TEST_UID` | the ordinary user's number, 54321 by default; it needs no account |
//!
//! Started by an ordinary user, tests run as that user only, and say so.

mod binary;
mod known;
mod run;
mod temp;
mod terminal;

pub use binary::{Bwrap, Side, Who, caller, notice, probe, reachable, under_test, usr};
pub use run::{Ended, Outcome, Run, Running, data, pipe};
pub use temp::TempDir;
pub use terminal::Terminal;

/// What a test of a contract is: our binary has to pass at once. The original is not under test but
/// shows that the test is right, and has races of its own, as between the filter of its pid 1 and
/// the command: it may pass at the third time.
///
/// # Panics
///
/// When it does not pass.
pub fn holds(b: &Bwrap, test: fn(&Bwrap)) {
    if b.side == Side::Original {
        for _ in 0..2 {
            if std::panic::catch_unwind(|| test(b)).is_ok() {
                return;
            }
            notice("the original has not passed, and is tried again");
        }
    }
    test(b);
}

/// Makes four tests of each named function over a [`Bwrap`]: ours and the original's, as root and
/// as an ordinary user. A function that is not named here is dead code, which the compiler reports.
///
/// ```text
/// /// What the test proves.
/// fn root_is_visible(b: &Bwrap) {
///     b.run("--ro-bind / / ls /").exits(0);
/// }
///
/// contract! {
///     root_is_visible,
/// }
/// ```
#[macro_export]
macro_rules! contract {
    ($($name:ident),* $(,)?) => {$(
        mod $name {
            fn with(side: $crate::Side, who: $crate::Who) {
                let built = option_env!("CARGO_BIN_EXE_bwrap");
                if let Some(b) = $crate::Bwrap::find(side, who, built) {
                    $crate::holds(&b, super::$name);
                }
            }

            #[test]
            fn ours_root() {
                with($crate::Side::Ours, $crate::Who::Root);
            }

            #[test]
            fn ours_user() {
                with($crate::Side::Ours, $crate::Who::User);
            }

            #[test]
            fn original_root() {
                with($crate::Side::Original, $crate::Who::Root);
            }

            #[test]
            fn original_user() {
                with($crate::Side::Original, $crate::Who::User);
            }
        }
    )*};
}

/// Makes two tests of each named function over a [`Bwrap`]: the binary of this workspace, as root
/// and as an ordinary user. For what the original does not have.
#[macro_export]
macro_rules! ours {
    ($($name:ident),* $(,)?) => {$(
        mod $name {
            fn with(who: $crate::Who) {
                let built = option_env!("CARGO_BIN_EXE_bwrap");
                if let Some(b) = $crate::Bwrap::find($crate::Side::Ours, who, built) {
                    super::$name(&b);
                }
            }

            #[test]
            fn root() {
                with($crate::Who::Root);
            }

            #[test]
            fn user() {
                with($crate::Who::User);
            }
        }
    )*};
}
