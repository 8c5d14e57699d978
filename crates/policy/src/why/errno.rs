//! Names of errors.

/// Numbers that all of our architectures share.
pub const EPERM: i32 = 1;
pub const ENOENT: i32 = 2;
pub const EAGAIN: i32 = 11;
pub const ENOMEM: i32 = 12;
pub const EACCES: i32 = 13;
pub const EBUSY: i32 = 16;
pub const ENOTDIR: i32 = 20;
pub const ENFILE: i32 = 23;
pub const EMFILE: i32 = 24;
pub const EFBIG: i32 = 27;
pub const ENOSPC: i32 = 28;
pub const EROFS: i32 = 30;
pub const EDQUOT: i32 = 122;

/// The name of an error, of those that a sandbox answers with.
pub fn name(number: i32) -> Option<&'static str> {
    Some(match number {
        EPERM => "EPERM",
        ENOENT => "ENOENT",
        5 => "EIO",
        6 => "ENXIO",
        EAGAIN => "EAGAIN",
        ENOMEM => "ENOMEM",
        EACCES => "EACCES",
        EBUSY => "EBUSY",
        17 => "EEXIST",
        18 => "EXDEV",
        19 => "ENODEV",
        ENOTDIR => "ENOTDIR",
        21 => "EISDIR",
        22 => "EINVAL",
        ENFILE => "ENFILE",
        EMFILE => "EMFILE",
        26 => "ETXTBSY",
        EFBIG => "EFBIG",
        ENOSPC => "ENOSPC",
        EROFS => "EROFS",
        31 => "EMLINK",
        36 => "ENAMETOOLONG",
        38 => "ENOSYS",
        39 => "ENOTEMPTY",
        40 => "ELOOP",
        93 => "EPROTONOSUPPORT",
        94 => "ESOCKTNOSUPPORT",
        95 => "EOPNOTSUPP",
        97 => "EAFNOSUPPORT",
        98 => "EADDRINUSE",
        99 => "EADDRNOTAVAIL",
        100 => "ENETDOWN",
        101 => "ENETUNREACH",
        110 => "ETIMEDOUT",
        111 => "ECONNREFUSED",
        113 => "EHOSTUNREACH",
        EDQUOT => "EDQUOT",
        _ => return None,
    })
}

/// What a file system answers in the course of things, whatever sandbox is around it.
pub fn is_usual(number: i32) -> bool {
    // EEXIST, EXDEV, EISDIR, EINVAL, ENAMETOOLONG, ENOTEMPTY, ECONNREFUSED
    matches!(number, 17 | 18 | 21 | 22 | 36 | 39 | 111)
}
