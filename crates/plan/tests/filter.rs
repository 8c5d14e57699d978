//! The filter of system calls: what it decides, by the interpreter.

use swathe_plan::filter::{
    Action, Arch, Data, FilterError, FilterOptions, base, errno, interpret, rules,
};

const ALLOW: u32 = Action::Allow.value();

fn options(arch: Arch) -> FilterOptions {
    FilterOptions { arch: Some(arch), ..FilterOptions::default() }
}

/// What the default filter of `on` answers to a call of `arch`.
fn ask(options: &FilterOptions, arch: Arch, name: &str, args: &[u64]) -> u32 {
    let number = arch.number(name).unwrap_or_else(|| panic!("no {name} on {arch:?}"));
    raw(options, arch.audit(), number, args)
}

fn raw(options: &FilterOptions, arch: u32, number: u32, given: &[u64]) -> u32 {
    let program = base(options).expect("a filter");
    let mut args = [0; 6];
    args[..given.len()].copy_from_slice(given);
    interpret(&program, &Data { number, arch, address: 0, args }).expect("a sound program")
}

fn error(number: u16) -> u32 {
    Action::Errno(number).value()
}

/// smoke
#[test]
fn smoke() {
    for arch in Arch::ALL {
        let o = options(arch);
        let program = base(&o).expect("a filter");
        eprintln!("{arch:?} {}", program.len() / 8);
        assert_eq!(ask(&o, arch, "read", &[]), ALLOW);
        assert_eq!(ask(&o, arch, "bpf", &[]), error(errno::EPERM));
    }
    let all = FilterOptions { bits32: true, ..options(Arch::X86_64) };
    eprintln!("{}", base(&all).unwrap().len() / 8);
    let _ = (FilterError::Machine, rules(&all).count());
}
