//! The words of intents. Parser, messages, JSON schema and the reference in `docs/profiles.md` all
//! come from this one table.

/// One word of intents.
#[derive(Debug, Clone, Copy)]
pub struct Word {
    /// As it stands behind `use =`.
    pub name: &'static str,
    /// What it does.
    pub about: &'static str,
    /// What it takes, besides `use` and `reason`.
    pub keys: &'static [Key],
    /// What is still missing before it can be enforced.
    pub later: Option<&'static str>,
    /// Why it is dangerous, shown where it is granted.
    pub danger: Option<&'static str>,
    /// The words behind `--allow`.
    pub short: &'static str,
}

/// One key of an intent.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// Its name.
    pub name: &'static str,
    /// What its value is.
    pub kind: Kind,
    /// Whether the intent means nothing without it.
    pub required: bool,
    /// What it says.
    pub about: &'static str,
}

/// What the value of a key is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An absolute path, or one that begins with `~` or a known variable.
    Path,
    /// One of [`ACCESS`].
    Access,
    /// One of [`STATES`].
    State,
    /// One of [`WAYS`].
    Way,
    /// Names of environment variables.
    Names,
    /// Values by names of environment variables.
    Values,
    /// One or several rules over hosts.
    Rules,
    /// One or several ports to publish.
    Ports,
}

/// Why something cannot be asked for yet.
pub const DESKTOP: &str = "needs the session bus/desktop proxy";

/// Ways to access files: the word, what it means, what is missing for it.
pub const ACCESS: [(&str, &str, Option<&str>); 7] = [
    ("ro", "read", None),
    ("rw", "read and write", None),
    ("append", "create and append", None),
    ("no-delete", "write and create, but not remove, rename or shorten", None),
    ("trash", "write; what is removed or replaced is kept in the trash", None),
    ("cow", "write on a copy that is reviewed later", None),
    ("ask", "not visible until the answer to a question says so", None),
];

/// Where an app's own files live: the word, what it means, what is missing for it.
pub const STATES: [(&str, &str, Option<&str>); 3] = [
    ("persist", "kept in a directory of the app", None),
    ("ephemeral", "gone with the run", None),
    ("overlay", "changes on top of what is there, gone with the run", None),
];

/// How the host's network is had as a whole: the word, what it means, what is missing for it.
pub const WAYS: [(&str, &str, Option<&str>); 2] = [
    ("host", "shared with the host", None),
    ("pasta", "brought in by pasta, without this machine's own localhost", None),
];

/// Keys of `[limits]`: the name, whether it is a size, what it bounds.
pub const LIMITS: [(&str, Measure, &str); 6] = [
    ("memory", Measure::Bytes, "memory"),
    ("processes", Measure::Count, "processes and threads"),
    ("time", Measure::Seconds, "how long the run may last"),
    ("tmpfs", Measure::Bytes, "contents of each temporary file system"),
    ("tmpfs-files", Measure::Count, "files of each temporary file system"),
    ("open-files", Measure::Count, "open files of one process"),
];

/// What a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// Bytes, with K, M, G or T.
    Bytes,
    /// A number.
    Count,
    /// Seconds, or numbers with d, h, m and s.
    Seconds,
}

const ACCESS_KEY: Key = Key {
    name: "access",
    kind: Kind::Access,
    required: false,
    about: "`ro` (default), `rw`, `append`, `no-delete`, `trash`, `cow` or `ask`",
};
const PATH_KEY: Key =
    Key { name: "path", kind: Kind::Path, required: true, about: "the directory or file" };
const HIDE_KEY: Key =
    Key { about: "the path, whether it exists or not; a glob hides all that match", ..PATH_KEY };
const MODE_KEY: Key = Key {
    name: "mode",
    kind: Kind::State,
    required: true,
    about: "`persist`, `ephemeral` or `overlay`",
};
const WAY_KEY: Key = Key {
    name: "way",
    kind: Kind::Way,
    required: false,
    about: "`host` (default), or `pasta`: without this machine's own localhost",
};
const TO_KEY: Key = Key {
    name: "to",
    kind: Kind::Rules,
    required: true,
    about: "a rule or a list: `github.com:443`, `*.npmjs.org` (ports 80 and 443), `localhost:5432`, `*`",
};
const BLOCK_KEY: Key = Key {
    about: "a rule or a list: `10.0.0.0/8:5432`, `[2001:db8::]/32:80-90`, `192.168.1.7:53/udp`",
    ..TO_KEY
};
const DENY_KEY: Key = Key {
    about: "a rule or a list, by name or address; without ports it denies all of them",
    ..TO_KEY
};
const PORT_KEY: Key = Key {
    name: "port",
    kind: Kind::Ports,
    required: true,
    about: "`8080`, `8080:3000` (the host's, then the sandbox's), `127.0.0.1:8080:3000`, or a list",
};
const PASS_KEY: Key =
    Key { name: "pass", kind: Kind::Names, required: false, about: "names of the caller's" };
const SET_KEY: Key =
    Key { name: "set", kind: Kind::Values, required: false, about: "values by name" };

const fn plain(name: &'static str, about: &'static str) -> Word {
    Word { name, about, keys: &[], later: None, danger: None, short: name }
}

const fn risky(name: &'static str, about: &'static str, danger: &'static str) -> Word {
    Word { danger: Some(danger), ..plain(name, about) }
}

const fn later(name: &'static str, about: &'static str, reason: &'static str) -> Word {
    Word { later: Some(reason), ..plain(name, about) }
}

/// All words, in the order of the reference.
pub const WORDS: [Word; 37] = [
    Word {
        keys: &[ACCESS_KEY],
        short: "files.cwd=rw",
        ..plain("files.cwd", "the working directory")
    },
    Word {
        keys: &[ACCESS_KEY],
        short: "files.args=rw",
        ..plain("files.args", "files and directories named on the command line")
    },
    Word {
        keys: &[PATH_KEY, ACCESS_KEY],
        short: "files.dir=PATH:rw",
        ..plain("files.dir", "a directory or file")
    },
    Word {
        keys: &[HIDE_KEY],
        short: "files.hide=PATH",
        ..plain("files.hide", "a path that is not visible")
    },
    Word {
        keys: &[MODE_KEY],
        short: "state=persist",
        ..plain("state", "where the program's own files live from run to run")
    },
    plain("net.none", "no network at all"),
    plain("net.loopback", "a loopback interface of its own"),
    Word {
        keys: &[TO_KEY],
        short: "net.host=RULE",
        ..plain("net.host", "hosts by name, and ports of this machine")
    },
    Word { keys: &[BLOCK_KEY], short: "net.cidr=BLOCK", ..plain("net.cidr", "hosts by address") },
    Word {
        keys: &[DENY_KEY],
        short: "net.deny=RULE",
        ..plain("net.deny", "hosts that are never reached, whatever allows them")
    },
    plain("net.ask", "hosts that no rule names, after a question"),
    Word {
        keys: &[WAY_KEY],
        short: "net.all, net.all=pasta",
        ..risky(
            "net.all",
            "the host's network, whole",
            "reaches every host, the local network and services of this machine",
        )
    },
    Word {
        keys: &[PORT_KEY],
        short: "net.listen=PORT",
        ..plain("net.listen", "ports that others can connect to")
    },
    Word {
        keys: &[PASS_KEY, SET_KEY],
        short: "env=NAME, env=NAME=VALUE",
        ..plain("env", "environment variables")
    },
    risky(
        "tty",
        "the caller's terminal itself instead of one of its own",
        "can read what is typed and may type into the terminal",
    ),
    later("display.wayland", "windows on a Wayland display", DESKTOP),
    later("display.x11", "windows on an X11 display", DESKTOP),
    later("audio.play", "play sound", DESKTOP),
    later("audio.record", "record sound", DESKTOP),
    risky("gpu", "graphics devices", "exposes the graphics driver, a large part of the kernel"),
    risky("camera", "cameras", "can watch at any time while it runs"),
    risky("usb", "USB devices", "can talk to every USB device, keys and disks among them"),
    plain("gamepad", "game controllers"),
    plain("fonts", "the user's fonts"),
    plain("themes", "the user's themes and icons"),
    later("notify", "notifications on the desktop", DESKTOP),
    later("files.choose", "files that the user picks in a dialog", DESKTOP),
    later("secrets.own", "the program's own entries in the keyring", DESKTOP),
    risky(
        "ssh-agent",
        "the SSH agent",
        "can log in as you wherever your keys are accepted, while it runs",
    ),
    risky("gpg-agent", "the GnuPG agent", "can sign and decrypt with your keys, while it runs"),
    later("dbus.talk", "talk to a service on the session bus", DESKTOP),
    later("dbus.own", "own a name on the session bus", DESKTOP),
    plain("print", "the print service"),
    risky(
        "ptrace",
        "trace processes of the sandbox",
        "opens system calls that have been used to escape",
    ),
    risky(
        "nested-sandbox",
        "make namespaces inside",
        "opens the parts of the kernel that escapes use most",
    ),
    risky("kvm", "virtual machines", "exposes the hypervisor, a large part of the kernel"),
    risky(
        "32bit",
        "32-bit programs",
        "opens a second table of system calls, seldom used and less tested",
    ),
];

/// The word of this name.
pub fn word(name: &str) -> Option<&'static Word> {
    WORDS.iter().find(|word| word.name == name)
}
