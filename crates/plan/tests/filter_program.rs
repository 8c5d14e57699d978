//! Programs for the kernel: whatever is to be decided, the program decides it so.

use std::collections::BTreeMap;

use proptest::prelude::*;
use swathe_plan::filter::{
    Action, Arch, Case, Data, Fault, FilterError, MAX_INSTRUCTIONS, Table, Test, assemble,
    interpret,
};

/// Rules that own what they are made of.
type Rules = BTreeMap<u32, Vec<(Vec<Test>, Action)>>;

/// Numbers near the places where something changes, and any others.
fn word() -> impl Strategy<Value = u32> {
    prop_oneof![0..8_u32, Just(u32::MAX), Just(0x4000_0000), Just(1 << 31), any::<u32>()]
}

fn wide() -> impl Strategy<Value = u64> {
    (word(), word()).prop_map(|(high, low)| u64::from(high) << 32 | u64::from(low))
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        Just(Action::Allow),
        (1..4096_u16).prop_map(Action::Errno),
        Just(Action::Kill),
        Just(Action::Notify),
    ]
}

fn test() -> impl Strategy<Value = Test> {
    // Few arguments, so that tests of one call often are about the same.
    let arg = 0..3_u8;
    prop_oneof![
        (arg.clone(), wide(), wide()).prop_map(|(arg, mask, value)| Test::Equal {
            arg,
            mask,
            value: value & mask
        }),
        (arg.clone(), wide(), wide()).prop_map(|(arg, mask, value)| Test::Equal {
            arg,
            mask,
            value
        }),
        (arg.clone(), word()).prop_map(|(arg, value)| Test::int(arg, value)),
        (arg.clone(), wide()).prop_map(|(arg, mask)| Test::Any { arg, mask }),
        (arg.clone(), word(), word()).prop_map(|(arg, from, to)| Test::Low { arg, from, to }),
        (arg, wide(), wide()).prop_map(|(arg, from, to)| Test::Range { arg, from, to }),
    ]
}

fn rules() -> impl Strategy<Value = Rules> {
    let cases = prop::collection::vec((prop::collection::vec(test(), 0..4), action()), 0..5);
    let number = prop_oneof![8 => 0..60_u32, 1 => any::<u32>()];
    prop::collection::btree_map(number, cases, 0..40)
}

/// One or two machines, each with what happens to numbers that are not known.
fn machines() -> impl Strategy<Value = Vec<(Arch, Rules, Action)>> {
    prop_oneof![
        (rules(), action()).prop_map(|(rules, others)| vec![(Arch::Aarch64, rules, others)]),
        (rules(), action(), rules(), action())
            .prop_map(|(wide, a, narrow, b)| vec![(Arch::X86_64, wide, a), (Arch::X86, narrow, b)]),
    ]
}

fn tables(machines: &[(Arch, Rules, Action)]) -> Vec<Table<'_>> {
    machines
        .iter()
        .map(|(arch, rules, others)| Table {
            arch: *arch,
            calls: rules
                .iter()
                .map(|(&number, cases)| {
                    let cases = cases.iter();
                    (number, cases.map(|(tests, action)| Case { tests, action: *action }).collect())
                })
                .collect(),
            others: *others,
        })
        .collect()
}

/// The rules as a person reads them.
fn read(machines: &[(Arch, Rules, Action)], other_machine: Action, data: &Data) -> Action {
    let Some((arch, rules, others)) = machines.iter().find(|(a, ..)| a.audit() == data.arch) else {
        return other_machine;
    };
    let Some(cases) = rules.get(&data.number) else { return *others };
    let arg = |at: u8| {
        let whole = data.args[usize::from(at)];
        if matches!(arch, Arch::X86 | Arch::Arm) { whole & 0xffff_ffff } else { whole }
    };
    let holds = |test: &Test| match *test {
        Test::Equal { arg: at, mask, value } => arg(at) & mask == value,
        Test::Any { arg: at, mask } => arg(at) & mask != 0,
        Test::Low { arg: at, from, to } => {
            (u64::from(from)..=u64::from(to)).contains(&(arg(at) & 0xffff_ffff))
        }
        Test::Range { arg: at, from, to } => (from..=to).contains(&arg(at)),
    };
    let found = cases.iter().find(|(tests, _)| tests.iter().all(holds));
    found.map_or(Action::Allow, |&(_, action)| action)
}

/// Calls that touch what the rules mention: their numbers and the ones beside them, and arguments
/// made of the values in the tests, with a bit flipped, one more or one less.
fn call(machines: &[(Arch, Rules, Action)], seed: &[u64]) -> Data {
    let mut seed = seed.iter().copied().cycle();
    let mut pick = |count: usize| (seed.next().unwrap_or(0) % count.max(1) as u64) as usize;
    let machine = &machines[pick(machines.len())];
    let mut numbers: Vec<u32> = machine.1.keys().flat_map(|&n| [n, n, n, n ^ 1, n + 1]).collect();
    numbers.extend([0, 61, 0x4000_0001, u32::MAX]);
    let number = numbers[pick(numbers.len())];
    let mut values = vec![0, 1, u64::MAX];
    for (tests, _) in machine.1.get(&number).into_iter().flatten() {
        for test in tests {
            values.extend(match *test {
                Test::Equal { mask, value, .. } => [value, value | !mask],
                Test::Any { mask, .. } => [mask, !mask],
                Test::Low { from, to, .. } => [u64::from(from), u64::from(to)],
                Test::Range { from, to, .. } => [from, to],
            });
        }
    }
    let mut args = [0; 6];
    for arg in &mut args {
        let value = values[pick(values.len())];
        *arg = match pick(8) {
            0 => value ^ (1 << pick(64)),
            1 => value.wrapping_add(1),
            2 => value.wrapping_sub(1),
            3 => value ^ (1 << 32),
            _ => value,
        };
    }
    let arch = if pick(20) == 0 { 0xc000_0016 } else { machine.0.audit() };
    Data { number, arch, address: 0, args }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// A program decides each call as its rules do, read one by one; also where jumps are longer
    /// than a conditional jump reaches.
    #[test]
    fn programs_decide_as_their_rules_say(
        machines in machines(),
        other in action(),
        seeds in prop::collection::vec(prop::collection::vec(any::<u64>(), 32), 60),
    ) {
        match assemble(&tables(&machines), other) {
            Ok(program) => for seed in seeds {
                let data = call(&machines, &seed);
                let expected = read(&machines, other, &data);
                prop_assert_eq!(interpret(&program, &data), Ok(expected.value()), "{:x?}", data);
            },
            Err(error) => prop_assert!(matches!(error, FilterError::Length(_)), "{}", error),
        }
    }

    /// Whatever bytes are interpreted, there is an end and no panic.
    #[test]
    fn any_bytes_can_be_interpreted(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = interpret(&bytes, &Data::default());
    }

    /// Instructions that exist, with any jumps: there is an end and no panic.
    #[test]
    fn any_instructions_can_be_interpreted(
        code in prop::collection::vec(
            (prop::sample::select(vec![0x20_u16, 0x54, 5, 0x15, 0x25, 0x35, 0x45, 6]), 0..4_u8,
                0..4_u8, word()),
            1..40,
        ),
    ) {
        let mut bytes = Vec::new();
        for (op, yes, no, k) in code {
            bytes.extend(op.to_le_bytes());
            bytes.extend([yes, no]);
            bytes.extend(k.to_le_bytes());
        }
        let _ = interpret(&bytes, &Data::default());
    }
}

/// As many calls as fit, each with an error of its own: every conditional jump of the tree's upper
/// part is too long.
fn many(count: u32) -> Rules {
    (0..count)
        .map(|n| {
            let error = Action::Errno(u16::try_from(n % 4000 + 1).expect("small"));
            (n * 2, vec![(vec![Test::int(0, n)], error)])
        })
        .collect()
}

/// Long jumps lead where they should, for every call of a large program.
#[test]
fn long_jumps() {
    let machines = [(Arch::X86_64, many(600), Action::Kill)];
    let program = assemble(&tables(&machines), Action::Kill).expect("it fits");
    assert!(program.len() / 8 > 2000, "{}", program.len());
    for number in 0..1300 {
        for first in [u64::from(number / 2), u64::from(number / 2) | 1 << 40, 5000] {
            let data = Data {
                number,
                arch: Arch::X86_64.audit(),
                address: 0,
                args: [first, 0, 0, 0, 0, 0],
            };
            let expected = read(&machines, Action::Kill, &data).value();
            assert_eq!(interpret(&program, &data), Ok(expected), "{number} {first:x}");
        }
    }
}

/// A program longer than the kernel takes is an error, and the longest that is none is within it.
#[test]
fn too_long_is_an_error() {
    let length = |count| {
        let machines = [(Arch::X86_64, many(count), Action::Kill)];
        assemble(&tables(&machines), Action::Kill).map(|program| program.len() / 8)
    };
    let (mut fits, mut above) = (600, 4000);
    while above - fits > 1 {
        let middle = u32::midpoint(fits, above);
        *(if length(middle).is_ok() { &mut fits } else { &mut above }) = middle;
    }
    let longest = length(fits).expect("it fits");
    assert!((MAX_INSTRUCTIONS - 20..=MAX_INSTRUCTIONS).contains(&longest), "{longest}");
    assert!(matches!(length(4000), Err(FilterError::Length(n)) if n > MAX_INSTRUCTIONS));
    let text = FilterError::Length(5000).to_string();
    assert!(text.contains("5000") && text.contains("4096"), "{text}");
}

/// A test of an argument that no call has is an error.
#[test]
fn arguments_end_at_five() {
    let rules = Rules::from([(1, vec![(vec![Test::int(6, 0)], Action::Kill)])]);
    let machines = [(Arch::X86_64, rules, Action::Kill)];
    let result = assemble(&tables(&machines), Action::Kill);
    assert_eq!(result, Err(FilterError::Argument(6)));
}

/// What the interpreter says of programs that are none.
#[test]
fn faults() {
    let data = Data::default();
    let op = |code: u8, k: u8| [code, 0, 0, 0, k, 0, 0, 0];
    assert_eq!(interpret(&[], &data), Err(Fault::Length));
    assert_eq!(interpret(&[6; 7], &data), Err(Fault::Length));
    assert_eq!(interpret(&op(6, 9).repeat(4097), &data), Err(Fault::Length));
    assert_eq!(interpret(&op(0x20, 0), &data), Err(Fault::End(1)));
    assert_eq!(interpret(&op(0x20, 64), &data), Err(Fault::Load(0)));
    assert_eq!(interpret(&op(0x20, 2), &data), Err(Fault::Load(0)));
    assert_eq!(interpret(&op(0x07, 0), &data), Err(Fault::Instruction(0)));
    assert_eq!(interpret(&op(6, 9), &data), Ok(9));
}
