//! What a program file needs to start: a script its interpreter, an ELF file its loader and
//! libraries.

use crate::files::{self, Path};
use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;
use object::elf::{DT_NEEDED, DT_RPATH, DT_RUNPATH, DT_STRTAB, FileHeader32, FileHeader64};
use object::read::elf::{Dyn, FileHeader, ProgramHeader};
use object::{Endianness, FileKind};

/// The most bytes of a program that are read.
const MAX_FILE: usize = 64 << 20;
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
    let start = files::read(path, MAX_LINE).ok()?;
    if start.starts_with(b"\x7fELF") {
        return of_bytes(&files::read(path, MAX_FILE).ok()?);
    }
    of_bytes(&start)
}

/// The same for the contents of a file, of which a script's first 256 bytes are enough. Anyone may
/// have written them: whatever they are, the result is bounded.
pub fn of_bytes(data: &[u8]) -> Option<Needs> {
    if data.starts_with(b"#!") {
        let line = &data[..data.len().min(MAX_LINE)];
        return Some(Needs { interpreter: Some(script_interpreter(line)?), ..Needs::default() });
    }
    if !data.starts_with(b"\x7fELF") {
        return None;
    }
    match FileKind::parse(data).ok()? {
        FileKind::Elf64 => elf::<FileHeader64<Endianness>>(data),
        FileKind::Elf32 => elf::<FileHeader32<Endianness>>(data),
        _ => None,
    }
}

fn script_interpreter(start: &[u8]) -> Option<Path> {
    let line = start[2..].split(|&b| b == b'\n').next()?;
    let word = line.split(|b| b.is_ascii_whitespace()).find(|w| !w.is_empty())?;
    Some(word.to_vec())
}

fn elf<H: FileHeader<Endian = Endianness>>(data: &[u8]) -> Option<Needs> {
    let header = H::parse(data).ok()?;
    let endian = header.endian().ok()?;
    let segments = header.program_headers(endian, data).ok()?;
    let mut needs = Needs::default();
    let interpreter = segments.iter().find_map(|s| s.interpreter(endian, data).ok().flatten());
    needs.interpreter = interpreter.filter(|path| path.len() <= MAX_NAME).map(<[u8]>::to_vec);
    let Some(dynamic) = segments.iter().find_map(|s| s.dynamic(endian, data).ok().flatten()) else {
        return Some(needs);
    };
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
        let start = usize::try_from(offset.checked_add(at)?).ok()?;
        let rest = data.get(start..)?;
        let bytes = rest[..rest.len().min(MAX_NAME)].split(|&b| b == 0).next()?;
        Some(String::from_utf8_lossy(bytes).into_owned())
    };
    needs.libraries = tags(DT_NEEDED).filter_map(text).take(MAX_NAMES).collect();
    let paths = tags(DT_RUNPATH).chain(tags(DT_RPATH)).filter_map(text);
    let search = paths.flat_map(|p| p.split(':').map(str::to_owned).collect::<Vec<_>>());
    needs.search = search.take(MAX_NAMES).collect();
    Some(needs)
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
}
