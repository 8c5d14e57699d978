//! The list itself.

use super::{Rule, errors, state};

/// The whole list.
pub const RULES: [Rule; 34] = [
    Rule {
        letter: "a",
        what: "a payload killed by signal N: exit status 128+N there, killed by N here",
        why: "where nothing has to be watched and the host's root stays in place, no monitor \
              process remains, so the status is the payload's own; a shell shows 128+N for both",
        remove: state::signal_of_its_own,
    },
    Rule {
        letter: "b",
        what: "a read-only mount that is a slave of the host there and private here",
        why: "a mount that the host makes later below a read-only bind must not arrive writable",
        remove: state::private_read_only,
    },
    Rule {
        letter: "c",
        what: "`Can't mount proc on /newroot/P` here, without `/newroot` there",
        why: "callers that fall back to a run without --proc match the older text",
        remove: errors::newroot_text,
    },
    Rule {
        letter: "d",
        what: "additional lines after the first on standard error",
        why: "hints come after the compatible line",
        remove: errors::hints,
    },
    Rule {
        letter: "e",
        what: "a namespace descriptor named in an option, open in the payload there and not here",
        why: "descriptors named in options are the launcher's; a user namespace must not leak",
        remove: state::leaked_namespace,
    },
    Rule {
        letter: "f",
        what: "details of pid 1 that are hidden here and readable there",
        why: "pid 1 is not dumpable and its arguments and environment are wiped, since they may \
              hold what the caller kept from the payload",
        remove: state::hidden_init,
    },
    Rule {
        letter: "g",
        what: "the relation of payload and launcher outside of a pid namespace",
        why: "without a monitor process the payload is the launcher's own process: its parent and \
              its group are the caller's, as for any program that executes another",
        remove: state::no_monitor,
    },
    Rule {
        letter: "h",
        what: "the program hangs there and ends here, with --pidns or a FIFO as lock file",
        why: "with --pidns and --unshare-pid a failing set-up there leaves a launcher that waits \
              for ever, and so does a lock file that is a FIFO; an error must end the launch",
        remove: errors::hang,
    },
    Rule {
        letter: "i",
        what: "the words between `Can't make overlay mount on` and the kernel's error",
        why: "they name descriptors of the launcher and, there, `(null)` for the destination",
        remove: errors::overlay_text,
    },
    Rule {
        letter: "j",
        what: "signals blocked by pid 1, descriptors that it made itself (sockets, event and \
               signal files, a /proc directory) and the numbers of the others",
        why: "how pid 1 waits is its own affair; what it inherited or was told to hold is compared",
        remove: state::own_affairs_of_init,
    },
    Rule {
        letter: "k",
        what: "a second line of --version",
        why: "it names this product; callers parse the first line",
        remove: errors::version,
    },
    Rule {
        letter: "k2",
        what: "the exit status of --help and --version when standard output is closed",
        why: "what cannot be written is a failure",
        remove: errors::nowhere_to_write,
    },
    Rule {
        letter: "l",
        what: "processes that outlive a launch there and not here",
        why: "a failed launch must leave nothing behind",
        remove: errors::left_behind,
    },
    Rule {
        letter: "m",
        what: "`Unexpected short read from pid socket` as a later line there",
        why: "it says that the process which wrote the line before has died: no information",
        remove: errors::short_read,
    },
    Rule {
        letter: "m2",
        what: "an error that is printed twice there",
        why: "both pid 1 and the payload load the filters, and both say what is wrong with one",
        remove: errors::said_twice,
    },
    Rule {
        letter: "m3",
        what: "--mqueue at the same place again: refused as busy there, mounted here",
        why: "mount(2) does not put a file system on its own root; move_mount(2) does, as for any \
              other kind of mount, and the payload sees the same",
        remove: errors::mqueue_again,
    },
    Rule {
        letter: "m4",
        what: "a path in the message of a failed bind or remount: as it was given here, with its \
               links resolved there",
        why: "the words that were given are what the caller can look for",
        remove: errors::resolved_name,
    },
    Rule {
        letter: "n",
        what: "the option mode= of a tmpfs made for the sandbox in the mount table",
        why: "the modes of directories and files are compared; how they came about is not visible",
        remove: state::root_mode,
    },
    Rule {
        letter: "o",
        what: "the text of the usage",
        why: "its words are this product's own; what callers look for in it is tested elsewhere",
        remove: errors::usage,
    },
    Rule {
        letter: "p",
        what: "a source below /proc/self is not found there and is bound here",
        why: "callers bind /proc/self/ns/user; its lookup there happens where it does not exist",
        remove: errors::source_in_proc,
    },
    Rule {
        letter: "q",
        what: "which error is reported when a filter is refused and something else is wrong, too",
        why: "a filter of wrong length is refused here after parsing and before anything is set up; \
              there it is read while parsing, and judged after the set-up. And pid 1 is under the \
              filters here before the payload enters its directory",
        remove: errors::filter_first,
    },
    Rule {
        letter: "r",
        what: "the payload runs there, and not here, although the lock file cannot be locked",
        why: "there pid 1 starts the payload before it finds that out: a failed set-up must not run \
              anything",
        remove: errors::lock_first,
    },
    Rule {
        letter: "s",
        what: "SIGCHLD, blocked by the caller, is unblocked in the payload there and not here",
        why: "the payload gets the signal mask that the caller had",
        remove: state::blocked_sigchld,
    },
    Rule {
        letter: "t",
        what: "pid 1 keeps CAP_AUDIT_READ in its permitted set here where a document was asked for",
        why: "it means nothing in a user namespace, and a payload that lacks it cannot look into \
              pid 1, which has to stay dumpable for who asked",
        remove: state::kept_capability,
    },
    Rule {
        letter: "t2",
        what: "the working directory of pid 1",
        why: "the payload enters its directory itself, with no more rights than it has; pid 1 stays \
              at the root",
        remove: state::init_directory,
    },
    Rule {
        letter: "t3",
        what: "what --cap-drop takes after --cap-add ALL from root that has not all capabilities",
        why: "there the whole change is refused by the kernel and ignored; here the drop counts",
        remove: state::dropped_of_all,
    },
    Rule {
        letter: "u",
        what: "the bounding set, and what execve gives root by it, with --userns2",
        why: "there the namespace that is joined last brings a full bounding set back",
        remove: state::bounded_after_userns2,
    },
    Rule {
        letter: "v",
        what: "a relative source of a -try option that does not exist, but does from \"/\"",
        why: "there it is looked for again, from \"/\", by accident; here it is left out",
        remove: state::relative_try,
    },
    Rule {
        letter: "w",
        what: "--pidns fails there and works, or fails later, here",
        why: "the launcher joins, which may where its child in a new user namespace may not",
        remove: errors::pidns_from_outside,
    },
    Rule {
        letter: "w2",
        what: "`Bad file descriptor` there for a descriptor that another option names as well",
        why: "there the other option has closed it; here it is refused for what it is",
        remove: errors::used_up,
    },
    Rule {
        letter: "x",
        what: "a mount on a file that has no name any more is not found again there",
        why: "there the path is looked up once more; here the descriptor is used",
        remove: errors::deleted_destination,
    },
    Rule {
        letter: "x2",
        what: "--remount-ro of the root by a path with \"..\"",
        why: "there it makes a covered mount read-only and leaves the visible one writable",
        remove: state::remounted_root,
    },
    Rule {
        letter: "y",
        what: "a number with blanks or a sign, or that does not fit, is refused here",
        why: "there 4294967296 is taken for 0",
        remove: errors::strict_numbers,
    },
    Rule {
        letter: "z",
        what: "a closed descriptor is refused here before anything else happens",
        why: "its number could become that of another file, and a failed launch must do nothing",
        remove: errors::closed_descriptors,
    },
];
