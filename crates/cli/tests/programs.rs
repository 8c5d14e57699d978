//! Programs as a new user tries them: without an option, in a project of theirs.
mod common;
use common::*;

fn placeholder(p: &Place) {
    p.inside("", "true").exits(0);
}
both! { placeholder }
