//! What a program file needs to start: a script its interpreter, an ELF file its loader and
//! libraries.

use crate::files::{Path, Ranges};
use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;
use object::elf::{
    DT_NEEDED, DT_RPATH, DT_RUNPATH, DT_STRTAB, FileHeader32, FileHeader64, PT_DYNAMIC, PT_INTERP,
};
use object::pod::slice_from_bytes;
use object::read::elf::{Dyn, FileHeader, ProgramHeader};
use object::{Endianness, FileKind};

/// The most of a program's dynamic section that is read, in bytes.
const MAX_DYNAMIC: usize = 64 << 10;
/// The longest first line of a script that the kernel reads (`BINPRM_BUF_SIZE`).
const MAX_LINE: usize = 256;
/// The most libraries, and the most directories, that are taken from a file. Whoever wrote it may
/// wish to keep us busy; programs need some dozens.
pub const MAX_NAMES: usize = 512;
/// The longest name that a file can have (`PATH_MAX`).
const MAX_NAME: usize = 4096;

/// What a file needs to start.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Needs {
    /// The interpreter of a script, or the loader of a dynamic program.
    pub interpreter: Option<Path>,
    /// Names of libraries.
    pub libraries: Vec<String>,
    /// Directories that the file itself names for them; `$ORIGIN` is not yet replaced.
    pub search: Vec<String>,
}

/// Reads what a file needs; `None` when it is neither a script nor an ELF program.
pub fn of(path: &[u8]) -> Option<Needs> {
    of_parts(&Ranges::open(path).ok()?)
}

/// The same for the contents of a file, of which a script's first 256 bytes are enough. Anyone may
/// have written them: whatever they are, the result is bounded.
pub fn of_bytes(data: &[u8]) -> Option<Needs> {
    of_parts(data)
}

/// Something of which only parts are read: programs have hundreds of megabytes, of which some
/// kilobytes are of interest.
trait Parts {
    /// At most `most` bytes from `offset` on; fewer at the end.
    fn part(&self, offset: u64, most: usize) -> Option<Vec<u8>>;
}

impl Parts for [u8] {
    fn part(&self, offset: u64, most: usize) -> Option<Vec<u8>> {
        let rest = self.get(usize::try_from(offset).ok()?..)?;
        Some(rest[..rest.len().min(most)].to_vec())
    }
}

impl Parts for Ranges {
    fn part(&self, offset: u64, most: usize) -> Option<Vec<u8>> {
        self.read(offset, most).ok()
    }
}

fn of_parts(file: &(impl Parts + ?Sized)) -> Option<Needs> {
    let start = file.part(0, MAX_LINE)?;
    if start.starts_with(b"#!") {
        return Some(Needs { interpreter: Some(script_interpreter(&start)?), ..Needs::default() });
    }
    if !start.starts_with(b"\x7fELF") {
        return None;
    }
    match FileKind::parse(start.as_slice()).ok()? {
        FileKind::Elf64 => elf::<FileHeader64<Endianness>>(file, &start),
        FileKind::Elf32 => elf::<FileHeader32<Endianness>>(file, &start),
        _ => None,
    }
}

fn script_interpreter(start: &[u8]) -> Option<Path> {
    let line = start[2..].split(|&b| b == b'\n').next()?;
    let word = line.split(|b| b.is_ascii_whitespace()).find(|w| !w.is_empty())?;
    Some(word.to_vec())
}

fn elf<H: FileHeader<Endian = Endianness>>(
    file: &(impl Parts + ?Sized),
    start: &[u8],
) -> Option<Needs> {
    let header = H::parse(start).ok()?;
    let endian = header.endian().ok()?;
    let count = usize::from(header.e_phnum(endian));
    if usize::from(header.e_phentsize(endian)) != size_of::<H::ProgramHeader>() && count > 0 {
        return None;
    }
    let table = file.part(header.e_phoff(endian).into(), count * size_of::<H::ProgramHeader>())?;
    let (segments, _) = slice_from_bytes::<H::ProgramHeader>(&table, count).ok()?;
    let segment = |kind: u32, most: usize| {
        let segment = segments.iter().find(|s| s.p_type(endian) == kind)?;
        let size = usize::try_from(segment.p_filesz(endian).into()).ok()?;
        file.part(segment.p_offset(endian).into(), size.min(most))
    };
    let mut needs = Needs::default();
    let interpreter = segment(PT_INTERP, MAX_NAME + 1).unwrap_or_default();
    needs.interpreter = until_nul(&interpreter).map(<[u8]>::to_vec);
    let Some(dynamic) = segment(PT_DYNAMIC, MAX_DYNAMIC) else { return Some(needs) };
    let count = dynamic.len() / size_of::<H::Dyn>();
    let (dynamic, _) = slice_from_bytes::<H::Dyn>(&dynamic, count).ok()?;
    let tags = |tag: u32| {
        dynamic.iter().filter(move |d| d.tag32(endian) == Some(tag)).map(|d| d.d_val(endian).into())
    };
    let strings: u64 = tags(DT_STRTAB).next()?;
    let offset = segments.iter().find_map(|s| {
        let start: u64 = s.p_vaddr(endian).into();
        let size: u64 = s.p_filesz(endian).into();
        let file: u64 = s.p_offset(endian).into();
        let inside = strings.checked_sub(start).filter(|&d| d < size)?;
        file.checked_add(inside)
    })?;
    let text = |at: u64| {
        let bytes = file.part(offset.checked_add(at)?, MAX_NAME)?;
        let text = bytes.split(|&b| b == 0).next()?;
        Some(String::from_utf8_lossy(text).into_owned())
    };
    needs.libraries = tags(DT_NEEDED).filter_map(text).take(MAX_NAMES).collect();
    let paths = tags(DT_RUNPATH).chain(tags(DT_RPATH)).filter_map(text);
    let search = paths.flat_map(|p| p.split(':').map(str::to_owned).collect::<Vec<_>>());
    needs.search = search.take(MAX_NAMES).collect();
    Some(needs)
}

/// What is before the first NUL, which has to be there.
fn until_nul(bytes: &[u8]) -> Option<&[u8]> {
    bytes.iter().position(|&b| b == 0).map(|end| &bytes[..end])
}

/// Directories in which loaders look for libraries without being told.
pub const LIBRARY_DIRS: [&str; 10] = [
    "/lib/x86_64-linux-gnu",
    "/usr/lib/x86_64-linux-gnu",
    "/lib/aarch64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/lib64",
    "/usr/lib64",
    "/lib",
    "/usr/lib",
    "/usr/local/lib",
    "/lib/i386-linux-gnu",
];

#[cfg(test)]
mod tests {
    use super::*;

    /// This test's own file is a dynamic program; a script names its interpreter.
    #[test]
    fn reads_programs_and_scripts() {
        let own = of(b"/proc/self/exe").expect("an ELF file");
        if cfg!(target_env = "gnu") {
            assert!(own.interpreter.is_some());
            assert!(own.libraries.iter().any(|l| l.starts_with("libc.so")), "{own:?}");
        }
        assert_eq!(script_interpreter(b"#! /usr/bin/env -S x\n"), Some(b"/usr/bin/env".to_vec()));
        assert_eq!(script_interpreter(b"#!\n"), None);
        assert_eq!(of(b"/etc/passwd"), None);
        assert_eq!(of(b"/"), None);
    }

    /// The parts that are read of a file say what all of it says, wherever in memory it lies.
    #[test]
    fn parts_are_enough() {
        let whole = std::fs::read("/proc/self/exe").expect("this test");
        let needs = of(b"/proc/self/exe");
        assert!(needs.is_some());
        for skip in 1..9 {
            let mut moved = alloc::vec![0; skip];
            moved.extend_from_slice(&whole);
            assert_eq!(of_bytes(&moved[skip..]), needs, "{skip} bytes further");
        }
    }
}
