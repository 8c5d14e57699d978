//! Opening files to write, and making them.

use super::{ELSEWHERE, GO_ON, Performed, Performer, Verdict, own, taken};
use crate::place::{Level, Placed};
use crate::process::Caller;
use crate::trap::{At, only_truncates, open_how, writes};
use crate::walk::{End, Found, Object, Walk, identity};
use swathe_sys::rustix::fs::{
    FileType, Mode, OFlags, fcntl_getfl, fcntl_setfl, fstat, fstatfs, open, openat,
};
use swathe_sys::rustix::io::fcntl_dupfd_cloexec;
use swathe_sys::rustix::process::umask;
use swathe_sys::{Errno, Result};

impl Performer {
    pub(super) fn open2(
        &self,
        caller: &Caller,
        at: At,
        (how, size): (u64, u64),
        still: &dyn Fn() -> bool,
    ) -> Result<Option<Performed>> {
        if size < 24 {
            return Ok(Some(GO_ON));
        }
        let mut bytes = [0; 24];
        caller.bytes(how, &mut bytes)?;
        let Some((flags, mode, restrictions)) = open_how(&bytes) else {
            return Ok(Some(GO_ON));
        };
        let nofollow = OFlags::from_bits_retain(flags).intersects(OFlags::NOFOLLOW);
        let exclusive = is_exclusive(flags);
        let at = At { follow: !nofollow && !exclusive, ..at };
        self.open(caller, at, flags, mode, restrictions, still)
    }

    pub(super) fn open(
        &self,
        caller: &Caller,
        at: At,
        flags: u32,
        mode: u32,
        restrictions: u64,
        still: &dyn Fn() -> bool,
    ) -> Result<Option<Performed>> {
        if !writes(flags) {
            return Ok(Some(GO_ON));
        }
        let path = caller.path(at.path)?;
        let found = Walk::new(caller).find(at.dir, &path, at.follow)?;
        if found.jumped && !self.places.holds(&found) {
            return reopen(caller, &found, flags, still);
        }
        let cuts = self.lengths && only_truncates(flags);
        let placed = self.places.of_found(&found)?.or(cuts.then_some(ELSEWHERE));
        let Some(placed @ Placed { level, ruled, exact, .. }) = placed else {
            return Ok(Some(GO_ON));
        };
        if !exact && !is_ordinary(&found)? {
            return Ok(Some(GO_ON));
        }
        // What is handed over is judged by its mount later on: of another, nothing is.
        if ruled && level > Level::NoDelete && !cuts || !exact && level != Level::Free {
            return Ok(Some(GO_ON));
        }
        // Callers of openat2 that restrict the way are prepared for kernels without it.
        if restrictions != 0 {
            return Ok(Some((Verdict::Refuse(Errno::NOSYS), None)));
        }
        let flags = OFlags::from_bits_retain(flags);
        let done = match &found.object {
            Some(_) if !still() => Err(Errno::SRCH),
            Some(object) => open_existing(&found, object, flags, level),
            None => create(caller, &found, flags, mode, still),
        };
        Ok(match done {
            Err(Errno::EXIST) if !is_exclusive(flags.bits()) => None,
            Err(Errno::NOENT) if found.object.is_some() => None,
            done => Some(self.noted(done, &found, None, placed)),
        })
    }
}

fn is_exclusive(flags: u32) -> bool {
    OFlags::from_bits_retain(flags).contains(OFlags::CREATE | OFlags::EXCL)
}

fn open_existing(found: &Found, object: &Object, flags: OFlags, level: Level) -> Result<Verdict> {
    if flags.contains(OFlags::CREATE) && found.slash && found.end == End::Name {
        return Err(Errno::ISDIR);
    }
    if flags.contains(OFlags::CREATE | OFlags::EXCL) {
        return Err(Errno::EXIST);
    }
    let cloexec = flags.contains(OFlags::CLOEXEC);
    let once = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
    let again = (flags - once) | OFlags::CLOEXEC;
    match object.kind {
        FileType::Symlink => return Err(Errno::LOOP),
        FileType::Directory if flags.contains(OFlags::TMPFILE) => {
            // A file without a name is made with all rights to its contents, and can get one.
            return Err(Errno::OPNOTSUPP);
        }
        FileType::Directory => return Err(Errno::ISDIR),
        _ if found.slash || flags.contains(OFlags::DIRECTORY) => return Err(Errno::NOTDIR),
        FileType::RegularFile if level == Level::Append && !only_appends(flags) => {
            return Err(Errno::ACCESS);
        }
        FileType::RegularFile if level == Level::NoDelete && flags.contains(OFlags::TRUNC) => {
            return Err(Errno::ACCESS);
        }
        FileType::Fifo => {
            let file = fcntl_dupfd_cloexec(&object.fd, 0)?;
            return Ok(Verdict::OpenSlowly(file, again, cloexec));
        }
        _ => {}
    }
    // Without waiting: who holds a lease on the file would hold up all others.
    let now = again | OFlags::NOCTTY | OFlags::NONBLOCK;
    match open(own(&object.fd), now, Mode::empty()) {
        Ok(fd) => {
            if !again.contains(OFlags::NONBLOCK) {
                // Of these, only what can be set is.
                fcntl_setfl(&fd, again)?;
            }
            Ok(Verdict::Open(fd, cloexec))
        }
        Err(Errno::AGAIN) if !again.contains(OFlags::NONBLOCK) => {
            let file = fcntl_dupfd_cloexec(&object.fd, 0)?;
            Ok(Verdict::OpenSlowly(file, again, cloexec))
        }
        Err(errno) => Err(errno),
    }
}

/// Whether nothing but adding to its end can be done with a file opened so. One that can also be
/// read can be mapped, and overwritten by that.
fn only_appends(flags: OFlags) -> bool {
    flags & OFlags::RWMODE == OFlags::WRONLY
        && flags.contains(OFlags::APPEND)
        && !flags.contains(OFlags::TRUNC)
}

/// Whether it is a file of a file system that keeps files. What opening others comes to depends on
/// who does it: `/dev/tty` would be the supervisor's own terminal, and files of procfs and its like
/// show the supervisor's own side.
pub(super) fn is_ordinary(found: &Found) -> Result<bool> {
    if let Some(Object { kind: FileType::CharacterDevice | FileType::BlockDevice, .. }) =
        found.object
    {
        return Ok(false);
    }
    let magic = u32::try_from(fstatfs(&found.dir)?.f_type).unwrap_or_default();
    Ok(!PSEUDO.contains(&magic))
}

/// File systems whose files are the kernel's own: proc, sysfs, devpts, cgroup2, cgroup, debugfs,
/// tracefs, securityfs, selinuxfs, configfs, bpf, binfmt_misc, efivarfs, pstore, mqueue.
const PSEUDO: [u32; 15] = [
    0x9fa0,
    0x6265_6572,
    0x1cd1,
    0x6367_7270,
    0x0027_e0eb,
    0x6462_6720,
    0x7472_6163,
    0x7363_6673,
    0xf97c_ff8c,
    0x6265_6570,
    0xcafe_4a11,
    0x4249_4e4d,
    0xde5e_81e4,
    0x6165_676c,
    0x1980_0202,
];

/// Opens one of the process's own descriptors again by its link in procfs. A file or terminal that
/// came from outside lies below no directory that the kernel's rules allow; what the descriptor
/// permits already is given once more, and nothing else.
fn reopen(
    caller: &Caller,
    found: &Found,
    flags: u32,
    still: &dyn Fn() -> bool,
) -> Result<Option<Performed>> {
    let Some(object) = &found.object else { return Ok(Some(GO_ON)) };
    let number = found.name.to_str().ok().and_then(|name| name.parse::<i32>().ok());
    let named = fstat(&object.fd)?.st_nlink > 0
        && matches!(object.kind, FileType::RegularFile | FileType::CharacterDevice);
    let Some(number) = number.filter(|_| named) else { return Ok(Some(GO_ON)) };
    let file = taken(caller, number, still)?;
    if !identity(&file)?.is_same_place(&object.identity) {
        return Err(Errno::AGAIN);
    }
    let (flags, has) = (OFlags::from_bits_retain(flags), fcntl_getfl(&file)?);
    let wanted = flags & OFlags::RWMODE;
    if has.contains(OFlags::PATH)
        || wanted != has & OFlags::RWMODE && has & OFlags::RWMODE != OFlags::RDWR
    {
        return Ok(Some(GO_ON));
    }
    Ok(Some((Verdict::Open(file, flags.contains(OFlags::CLOEXEC)), None)))
}

/// Makes a file, and nothing if there is one.
fn create(
    caller: &Caller,
    found: &Found,
    flags: OFlags,
    mode: u32,
    still: &dyn Fn() -> bool,
) -> Result<Verdict> {
    if !flags.contains(OFlags::CREATE) {
        return Err(Errno::NOENT);
    }
    if found.slash {
        return Err(Errno::ISDIR);
    }
    if flags.contains(OFlags::DIRECTORY) {
        return Err(Errno::INVAL);
    }
    // Set for the kernel to apply: where a directory has a default ACL, it does not count.
    let mask = caller.status()?.umask;
    if !still() {
        return Err(Errno::SRCH);
    }
    let before = umask(Mode::from_raw_mode(mask));
    let made = openat(
        &found.dir,
        &found.name,
        flags | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NOCTTY,
        Mode::from_raw_mode(mode & 0o7777),
    );
    umask(before);
    made.map(|fd| Verdict::Open(fd, flags.contains(OFlags::CLOEXEC)))
}
