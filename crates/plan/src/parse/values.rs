//! Options' arguments → values.

use super::Fault;
use crate::model::{Bytes, FdNumber, FileRights, IdRange, KernelVersion, Limit, UserLimit};
use crate::options::{self, Opt};
use crate::tables;
use alloc::format;

pub(super) fn fd_number(word: &[u8]) -> Result<FdNumber, Fault> {
    tables::decimal(word).and_then(|n| FdNumber::try_from(n).ok()).ok_or_else(|| {
        Fault::value("Invalid fd: ", word)
            .hint("a descriptor is a decimal number, of one that the caller leaves open for bwrap")
    })
}

pub(super) fn id(word: &[u8], text: &str) -> Result<u32, Fault> {
    // bubblewrap's bound.
    let number = tables::decimal(word).and_then(|n| i32::try_from(n).ok());
    number.map(i32::cast_unsigned).ok_or_else(|| {
        Fault::value(text, word).hint("an id is a decimal number of at most 2147483647")
    })
}

pub(super) fn id_range(values: &[&[u8]]) -> Result<IdRange, Fault> {
    let (inside, outside) = (id(values[0], "Invalid id: ")?, id(values[1], "Invalid id: ")?);
    let count = id(values[2], "Invalid count: ")?;
    let fits = |start: u32| u64::from(start) + u64::from(count) <= 1 << 31;
    if count == 0 || !fits(inside) || !fits(outside) {
        return Err(Fault::value("Invalid count: ", values[2])
            .hint("a range holds at least one id and ends below 2147483648"));
    }
    Ok(IdRange { inside, outside, count })
}

pub(super) fn pid_max(word: &[u8]) -> Result<u32, Fault> {
    let number = tables::decimal(word).and_then(|n| u32::try_from(n).ok());
    number.filter(|n| tables::PID_MAX.contains(n)).ok_or_else(|| {
        let (least, most) = (tables::PID_MAX.start(), tables::PID_MAX.end());
        Fault::value("--pid-max: invalid number ", word)
            .hint(format!("a bound of process ids is from {least} to {most}"))
    })
}

pub(super) fn user_limit(name: &[u8], value: &[u8]) -> Result<UserLimit, Fault> {
    let kind = tables::user_limit(name).ok_or_else(|| {
        Fault::value("--user-limit: unknown name ", name)
            .hint(format!("known are: {}", tables::USER_LIMITS.join(", ")))
    })?;
    let count = tables::decimal(value).and_then(|n| u32::try_from(n).ok());
    let count = count.filter(|&n| n <= tables::MAX_USER_LIMIT).ok_or_else(|| {
        Fault::value("--user-limit: invalid number ", value)
            .hint(format!("a limit is a decimal number of at most {}", tables::MAX_USER_LIMIT))
    })?;
    Ok(UserLimit { kind, count })
}

pub(super) fn file_rights(opt: Opt, word: &[u8]) -> Result<FileRights, Fault> {
    FileRights::parse(word).map_err(|unknown| {
        let known = tables::FILE_RIGHTS.map(|right| right.name).join(", ");
        let name = options::spec(opt).name;
        Fault::value(&format!("{name}: unknown right "), unknown)
            .hint(format!("rights are a list, with commas, of: {known}"))
    })
}

pub(super) fn octal(word: &[u8], name: &str) -> Result<u32, Fault> {
    tables::number(word, 8).and_then(|n| u32::try_from(n).ok()).filter(|&n| n <= 0o7777).ok_or_else(
        || {
            Fault::new(format!("{name} takes an octal argument <= 07777"))
                .hint(format!("it was given \"{}\"", word.escape_ascii()))
        },
    )
}

/// A size in bytes of a tmpfs: at least 1 and at most what fits a file offset.
pub(super) fn bytes(word: &[u8], name: &str) -> Result<u64, Fault> {
    let size = tables::c_number(word).filter(|&n| n > 0).ok_or_else(|| {
        Fault::new(format!("{name} takes a non-zero number of bytes"))
            .hint(format!("it was given \"{}\"", word.escape_ascii()))
    })?;
    if size > i64::MAX as u64 {
        return Err(Fault::new(format!("{name} (for tmpfs) is limited to {}", i64::MAX)));
    }
    Ok(size)
}

pub(super) fn positive(word: &[u8], name: &str) -> Result<u64, Fault> {
    tables::decimal(word).filter(|&n| n > 0 && n <= i64::MAX as u64).ok_or_else(|| {
        Fault::new(format!("{name} takes a positive number"))
            .hint(format!("it was given \"{}\"", word.escape_ascii()))
    })
}

pub(super) fn env_name(word: &[u8], text: &str) -> Result<Bytes, Fault> {
    if word.is_empty() || word.contains(&b'=') {
        return Err(Fault::new(text)
            .hint(format!("\"{}\" is no name of an environment variable", word.escape_ascii())));
    }
    Ok(word.to_vec())
}

pub(super) fn capability(word: &[u8]) -> Result<u64, Fault> {
    tables::capability(word).ok_or_else(|| {
        Fault::value("unknown cap: ", word).hint(
            "a capability is ALL, a name such as CAP_NET_ADMIN (capabilities(7)), or a number",
        )
    })
}

pub(super) fn limit(name: &[u8], value: &[u8]) -> Result<Limit, Fault> {
    let resource = tables::resource(name).ok_or_else(|| {
        Fault::value("--rlimit: unknown resource ", name)
            .hint(format!("known are: {}", tables::RESOURCES.join(", ")))
    })?;
    let mut parts = value.splitn(2, |&b| b == b':');
    let parse = |word: &[u8]| {
        if word == b"unlimited" {
            return Ok(None);
        }
        tables::decimal(word).filter(|&n| n != u64::MAX).map(Some).ok_or_else(|| {
            Fault::value("--rlimit: invalid value ", value)
                .hint("a value is SOFT or SOFT:HARD, each a number or \"unlimited\"")
        })
    };
    let soft = parse(parts.next().unwrap_or_default())?;
    let hard = parts.next().map_or(Ok(soft), parse)?;
    if soft.unwrap_or(u64::MAX) > hard.unwrap_or(u64::MAX) {
        return Err(Fault::value("--rlimit: the soft limit is above the hard one: ", value));
    }
    Ok(Limit { resource, soft, hard })
}

pub(super) fn kernel_version(word: &[u8]) -> Result<KernelVersion, Fault> {
    let mut parts = word.splitn(2, |&b| b == b'.');
    let mut part = || {
        let n = tables::decimal(parts.next().unwrap_or_default())?;
        u32::try_from(n).ok()
    };
    match (part(), part()) {
        (Some(major), Some(minor)) => Ok(KernelVersion { major, minor }),
        _ => Err(Fault::value("Invalid kernel version: ", word).hint("such as 5.4")),
    }
}
