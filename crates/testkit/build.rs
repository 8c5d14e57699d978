//! Builds the helper programs for the tests that link this library.
//!
//! Cargo gives a library no way to name the binaries of its own package, and the probe must run in
//! a sandbox without any library. So they are compiled here, statically: for musl where that
//! target is installed, else for glibc with its static archive. They use nothing but std.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let rustc = env::var_os("RUSTC").expect("cargo sets RUSTC");
    let host = env::var("TARGET").expect("cargo sets TARGET");
    let musl = host.replace("-gnu", "-musl");
    for name in ["probe", "nanny", "caller"] {
        let source = format!("src/bin/{name}.rs");
        println!("cargo::rerun-if-changed={source}");
        let target = out.join(format!("swathe-{name}"));
        if !compile(&rustc, &source, &target, &musl) && !compile(&rustc, &source, &target, &host) {
            panic!("{source} compiles neither for {musl} nor statically for {host}");
        }
        println!("cargo::rustc-env=SWATHE_{}={}", name.to_uppercase(), target.display());
    }
}

/// Compiles `source` to a static program; false when the target is not installed.
fn compile(rustc: &std::ffi::OsStr, source: &str, output: &Path, target: &str) -> bool {
    Command::new(rustc)
        .args(["--edition=2024", "--crate-type=bin", "-Copt-level=1", "-Cpanic=abort"])
        .args(["-Ctarget-feature=+crt-static", "-Cstrip=symbols", "--cap-lints=allow"])
        .args(["--target", target, "-o"])
        .arg(output)
        .arg(source)
        .output()
        .is_ok_and(|done| done.status.success())
}
