//! Facts of the machine that runs the tests.

use swathe_host::facts::Facts;
use swathe_host::layers::{Layers, capabilities};

/// The quick probe says the same twice, and survives its own recorded form: what one machine wrote
/// is judged the same on another.
#[test]
fn facts_survive_their_recorded_form() {
    let facts = Facts::probe_quick(None);
    assert_eq!(facts, Facts::probe_quick(None));
    let text = serde_json::to_string(&facts).expect("facts are plain data");
    let back: Facts = serde_json::from_str(&text).expect("what was written can be read");
    assert_eq!(facts, back);
    let layers = capabilities(&facts);
    let text = serde_json::to_string(&layers).expect("layers are plain data");
    assert_eq!(layers, serde_json::from_str::<Layers>(&text).expect("they too"));
}

/// The quick probe starts nothing and finds the essentials of any Linux that runs these tests.
#[test]
fn the_quick_probe_finds_the_kernel() {
    let facts = Facts::probe_quick(None);
    assert!(facts.kernel.version() >= (4, 0), "{:?}", facts.kernel);
    assert!(!facts.kernel.machine.is_empty());
    assert!(facts.bwrap.is_none());
}
