# fish completion for bwrap(1).
# Generated from the option table: run "cargo run -p swathe-docs".

# Prints what is completed: an option, an argument of a kind, or a word of the command.
# With an argument, the place of the command's first word.
function __bwrap_at
    set -l words (commandline -opc)
    set -l count (count $words)
    set -l at 2
    while test $at -le $count
        set -l kinds
        switch $words[$at]
            case --args --argv0 --userns --userns2 --pidns --uid --gid --hostname --perms --size --seccomp --add-seccomp-fd --exec-label --file-label --block-fd --userns-block-fd --info-fd --json-status-fd --sync-fd --json-errors --inodes --default-tmpfs-size --default-tmpfs-inodes --keep-fd --landlock-handle --netns --pid-max --cgroup --serve --assume-kernel
                set kinds nothing
            case --chdir --remount-ro --overlay-src --tmp-overlay --ro-overlay --proc --dev --tmpfs --mqueue --dir --lock-file --mask --mask-dir --pin
                set kinds path
            case --setenv
                set kinds variable nothing
            case --unsetenv
                set kinds variable
            case --bind --bind-try --dev-bind --dev-bind-try --ro-bind --ro-bind-try --symlink
                set kinds path path
            case --bind-fd --ro-bind-fd --file --bind-data --ro-bind-data --chmod --mask-text --landlock-allow
                set kinds nothing path
            case --overlay
                set kinds path path path
            case --cap-add --cap-drop
                set kinds capability
            case --rlimit
                set kinds resource nothing
            case --uid-range --gid-range
                set kinds nothing nothing nothing
            case --user-limit --seccomp-listener
                set kinds nothing nothing
            case --
                set at (math $at + 1)
                break
            case '-*'
            case '*'
                break
        end
        set -l last (math $at + (count $kinds))
        if test $last -gt $count
            echo $kinds[(math $count - $at + 1)]
            return
        end
        set at (math $last + 1)
    end
    if set -q argv[1]
        echo $at
    else if test $at -le $count; or test "$words[$count]" = --
        echo command
    else
        echo option
    end
end

# Completes the rest as a command line of its own.
function __bwrap_command
    set -l words (commandline -opc)
    set -l from (__bwrap_at place)
    set -l before
    test $from -le (count $words); and set before (string escape -- $words[$from..-1])
    complete -C "$before "(commandline -ct)
end

complete -c bwrap -n 'test (__bwrap_at) = option' -f -a --help -d 'show this text and exit'
complete -c bwrap -n 'test (__bwrap_at) = option' -f -a --version -d 'show the version and exit'
complete -c bwrap -n 'test (__bwrap_at) = option' -f -a --args -d 'read further options from FD, separated by NUL'
complete -c bwrap -n 'test (__bwrap_at) = option' -f -a --argv0 -d 'pass VALUE to the command as its argv[0]'
complete -c bwrap -n 'test (__bwrap_at) = option' -f -a --level-prefix -d 'start each diagnostic line with <3> (error) or <4> (warning)'
complete -c bwrap -n 'test (__bwrap_at) = option' -f -a --unshare-all -d 'new namespaces of every kind below'
complete -c bwrap -n 'test (__bwrap_at) = option' -f -a --share-net -d 'keep the caller\'s network after all'
complete -c bwrap -n 'test (__bwrap_at) = option' -f -a --unshare-user -d 'new user namespace'
complete -c bwrap -n 'test (__bwrap_at) = option' -f -a --unshare-user-try -d 'new user namespace where the system allows it'
complete -c bwrap -n 'test (__bwrap_at) = option' -f -a --unshare-ipc -d 'new IPC namespace'
complete -c bwrap -n 'test (__bwrap_at) = option' -f -a --unshare-pid -d 'new pid namespace'
complete -c bwrap -n 'test (__bwrap_at) = option' -f -a --unshare-net -d 'new network namespace with only a loopback interface'
complete -c bwrap -n 'test (__bwrap_at) = option' -f -a --unshare-uts -d 'new UTS namespace (host name)'
complete -c bwrap -n 'test (__bwrap_at) = option' -f -a --unshare-cgroup -d 'new cgroup namespace'
complete -c bwrap -n 'test (__bwrap_at) = option' -f -a --unshare-cgroup-try -d 'new cgroup namespace where the kernel has them'
complete -c bwrap -n 'test (__bwrap_at) = option' -f -a --userns -d 'join the user namespace behind FD'
complete -c bwrap -n 'test (__bwrap_at) = option' -f -a --userns2 -d 'join this user namespace after the set-up'
complete -c bwrap -n 'test (__bwrap_at) = option' -f -a --disable-userns -d 'forbid further user namespaces inside (needs --unshare-user)'
complete -c bwrap -n 'test (__bwrap_at) = option' -f -a --assert-userns-disabled -d 'fail if user namespaces can be made inside'
complete -c bwrap -n 'test (__bwrap_at) = option' -f -a --pidns -d 'join the pid namespace behind FD'
complete -c bwrap -n 'test (__bwrap_at) = option' -f -a --uid -d 'user id inside (needs a user namespace)'
complete -c bwrap -n 'test (__bwrap_at) = option' -f -a --gid -d 'group id inside (needs a user namespace)'
complete -c bwrap -n 'test (__bwrap_at) = option' -f -a --hostname -d 'host name inside (needs --unshare-uts)'
complete -c bwrap -n 'test (__bwrap_at) = option' -f -a --chdir -d 'start the command in DIR'
complete -c bwrap -n 'test (__bwrap_at) = option' -f -a --clearenv -d 'start from an empty environment'
complete -c bwrap -n 'test (__bwrap_at) = option' -f -a --setenv -d 'set VAR to VALUE'
complete -c bwrap -n 'test (__bwrap_at) = option' -f -a --unsetenv -d 'remove VAR from the environment'
complete -c bwrap -n 'test (__bwrap_at) = option' -f -a --bind -d 'show the host\'s SRC at DEST, writable'
complete -c bwrap -n 'test (__bwrap_at) = option' -f -a --bind-try -d 'the same, left out if SRC does not exist'
complete -c bwrap -n 'test (__bwrap_at) = option' -f -a --dev-bind -d 'show SRC at DEST, device files usable'
complete -c bwrap -n 'test (__bwrap_at) = option' -f -a --dev-bind-try -d 'the same, left out if SRC does not exist'
complete -c bwrap -n 'test (__bwrap_at) = option' -f -a --ro-bind -d 'show SRC at DEST, read-only'
complete -c bwrap -n 'test (__bwrap_at) = option' -f -a --ro-bind-try -d 'the same, left out if SRC does not exist'
complete -c bwrap -n 'test (__bwrap_at) = option' -f -a --bind-fd -d 'show what FD refers to at DEST, writable'
complete -c bwrap -n 'test (__bwrap_at) = option' -f -a --ro-bind-fd -d 'show what FD refers to at DEST, read-only'
complete -c bwrap -n 'test (__bwrap_at) = option' -f -a --remount-ro -d 'make the mount at DEST read-only, not those below it'
complete -c bwrap -n 'test (__bwrap_at) = option' -f -a --overlay-src -d 'a layer of the following overlay'
complete -c bwrap -n 'test (__bwrap_at) = option' -f -a --overlay -d 'an overlay at DEST whose writes go to RWSRC'
complete -c bwrap -n 'test (__bwrap_at) = option' -f -a --tmp-overlay -d 'an overlay at DEST whose writes vanish with the sandbox'
complete -c bwrap -n 'test (__bwrap_at) = option' -f -a --ro-overlay -d 'a read-only overlay at DEST, of two layers or more'
complete -c bwrap -n 'test (__bwrap_at) = option' -f -a --proc -d 'a procfs at DEST'
complete -c bwrap -n 'test (__bwrap_at) = option' -f -a --dev -d 'a minimal /dev at DEST'
complete -c bwrap -n 'test (__bwrap_at) = option' -f -a --tmpfs -d 'an empty tmpfs at DEST'
complete -c bwrap -n 'test (__bwrap_at) = option' -f -a --mqueue -d 'a POSIX message queue file system at DEST'
complete -c bwrap -n 'test (__bwrap_at) = option' -f -a --dir -d 'a directory at DEST'
complete -c bwrap -n 'test (__bwrap_at) = option' -f -a --file -d 'a file at DEST with what FD yields'
complete -c bwrap -n 'test (__bwrap_at) = option' -f -a --bind-data -d 'what FD yields, mounted at DEST'
complete -c bwrap -n 'test (__bwrap_at) = option' -f -a --ro-bind-data -d 'what FD yields, mounted read-only at DEST'
complete -c bwrap -n 'test (__bwrap_at) = option' -f -a --symlink -d 'a symbolic link at DEST to TARGET'
complete -c bwrap -n 'test (__bwrap_at) = option' -f -a --chmod -d 'change the mode of PATH, which must exist'
complete -c bwrap -n 'test (__bwrap_at) = option' -f -a --perms -d 'mode of what the next operation creates'
complete -c bwrap -n 'test (__bwrap_at) = option' -f -a --size -d 'size limit of the next --tmpfs'
complete -c bwrap -n 'test (__bwrap_at) = option' -f -a --cap-add -d 'keep a capability (CAP_..., its number, or ALL)'
complete -c bwrap -n 'test (__bwrap_at) = option' -f -a --cap-drop -d 'drop a capability'
complete -c bwrap -n 'test (__bwrap_at) = option' -f -a --seccomp -d 'load the seccomp filter read from FD'
complete -c bwrap -n 'test (__bwrap_at) = option' -f -a --add-seccomp-fd -d 'load one more seccomp filter from FD, in order'
complete -c bwrap -n 'test (__bwrap_at) = option' -f -a --exec-label -d 'SELinux label of the command'
complete -c bwrap -n 'test (__bwrap_at) = option' -f -a --file-label -d 'SELinux label of files made for the sandbox'
complete -c bwrap -n 'test (__bwrap_at) = option' -f -a --not-a-security-boundary -d 'let some set-up steps fail with a warning'
complete -c bwrap -n 'test (__bwrap_at) = option' -f -a --block-fd -d 'wait for FD before the command starts'
complete -c bwrap -n 'test (__bwrap_at) = option' -f -a --userns-block-fd -d 'wait for FD before the ids are mapped'
complete -c bwrap -n 'test (__bwrap_at) = option' -f -a --info-fd -d 'write the sandbox\'s pid and namespaces to FD'
complete -c bwrap -n 'test (__bwrap_at) = option' -f -a --json-status-fd -d 'write status as JSON, one object a line, to FD'
complete -c bwrap -n 'test (__bwrap_at) = option' -f -a --sync-fd -d 'keep FD open in pid 1 while the sandbox runs'
complete -c bwrap -n 'test (__bwrap_at) = option' -f -a --lock-file -d 'hold a read lock on the sandbox\'s DEST'
complete -c bwrap -n 'test (__bwrap_at) = option' -f -a --new-session -d 'give the command a session of its own'
complete -c bwrap -n 'test (__bwrap_at) = option' -f -a --die-with-parent -d 'end everything when bwrap or its caller ends'
complete -c bwrap -n 'test (__bwrap_at) = option' -f -a --as-pid-1 -d 'let the command be pid 1 itself (needs --unshare-pid)'
complete -c bwrap -n 'test (__bwrap_at) = option' -f -a --json-errors -d 'write each error as a JSON object to FD'
complete -c bwrap -n 'test (__bwrap_at) = option' -f -a --mask -d 'hide a file or directory, and keep it from being created'
complete -c bwrap -n 'test (__bwrap_at) = option' -f -a --mask-dir -d 'as --mask, but what is missing is an empty directory'
complete -c bwrap -n 'test (__bwrap_at) = option' -f -a --mask-text -d 'as --mask, but what is missing is a file of one line'
complete -c bwrap -n 'test (__bwrap_at) = option' -f -a --pin -d 'keep a name from being removed, renamed or replaced'
complete -c bwrap -n 'test (__bwrap_at) = option' -f -a --forward-signals -d 'pass signals sent to bwrap on to the command'
complete -c bwrap -n 'test (__bwrap_at) = option' -f -a --pty -d 'give the command a terminal of its own'
complete -c bwrap -n 'test (__bwrap_at) = option' -f -a --rlimit -d 'limit a resource, as setrlimit(2)'
complete -c bwrap -n 'test (__bwrap_at) = option' -f -a --inodes -d 'limit of files in the next --tmpfs'
complete -c bwrap -n 'test (__bwrap_at) = option' -f -a --default-tmpfs-size -d 'size limit of every tmpfs that is made without one'
complete -c bwrap -n 'test (__bwrap_at) = option' -f -a --default-tmpfs-inodes -d 'limit of files of every tmpfs that is made without one'
complete -c bwrap -n 'test (__bwrap_at) = option' -f -a --close-fds -d 'do not pass inherited descriptors on'
complete -c bwrap -n 'test (__bwrap_at) = option' -f -a --keep-fd -d 'with --close-fds: pass FD on'
complete -c bwrap -n 'test (__bwrap_at) = option' -f -a --scope-signals -d 'no signals to processes outside (Landlock)'
complete -c bwrap -n 'test (__bwrap_at) = option' -f -a --scope-abstract-sockets -d 'no abstract UNIX sockets of outside (Landlock)'
complete -c bwrap -n 'test (__bwrap_at) = option' -f -a --landlock-handle -d 'take away rights on files (Landlock)'
complete -c bwrap -n 'test (__bwrap_at) = option' -f -a --landlock-allow -d 'allow RIGHTS at PATH and below after all'
complete -c bwrap -n 'test (__bwrap_at) = option' -f -a --uid-range -d 'map COUNT user ids by newuidmap(1)'
complete -c bwrap -n 'test (__bwrap_at) = option' -f -a --gid-range -d 'map COUNT group ids by newgidmap(1)'
complete -c bwrap -n 'test (__bwrap_at) = option' -f -a --netns -d 'join the network namespace behind FD'
complete -c bwrap -n 'test (__bwrap_at) = option' -f -a --end-with-command -d 'end all processes of the sandbox when the command ends'
complete -c bwrap -n 'test (__bwrap_at) = option' -f -a --user-limit -d 'limit namespaces, watches and the like inside'
complete -c bwrap -n 'test (__bwrap_at) = option' -f -a --pid-max -d 'let process ids inside be less than N, which bounds their count'
complete -c bwrap -n 'test (__bwrap_at) = option' -f -a --cgroup -d 'start the sandbox in the cgroup behind FD'
complete -c bwrap -n 'test (__bwrap_at) = option' -f -a --serve -d 'run more commands in the sandbox, asked for over the socket FD'
complete -c bwrap -n 'test (__bwrap_at) = option' -f -a --seccomp-listener -d 'load a filter whose listener goes out over SOCKET-FD'
complete -c bwrap -n 'test (__bwrap_at) = option' -f -a --quiet-errors -d 'do not write errors to standard error as well (needs --json-errors)'
complete -c bwrap -n 'test (__bwrap_at) = option' -f -a --assume-kernel -d 'do as on an older kernel, for tests'
complete -c bwrap -n 'test (__bwrap_at) = option' -f -a '(__fish_complete_command)'
complete -c bwrap -n 'test (__bwrap_at) = nothing' -f
complete -c bwrap -n 'test (__bwrap_at) = path' -F
complete -c bwrap -n 'test (__bwrap_at) = capability' -f -a 'ALL CAP_CHOWN CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH CAP_FOWNER CAP_FSETID CAP_KILL CAP_SETGID CAP_SETUID CAP_SETPCAP CAP_LINUX_IMMUTABLE CAP_NET_BIND_SERVICE CAP_NET_BROADCAST CAP_NET_ADMIN CAP_NET_RAW CAP_IPC_LOCK CAP_IPC_OWNER CAP_SYS_MODULE CAP_SYS_RAWIO CAP_SYS_CHROOT CAP_SYS_PTRACE CAP_SYS_PACCT CAP_SYS_ADMIN CAP_SYS_BOOT CAP_SYS_NICE CAP_SYS_RESOURCE CAP_SYS_TIME CAP_SYS_TTY_CONFIG CAP_MKNOD CAP_LEASE CAP_AUDIT_WRITE CAP_AUDIT_CONTROL CAP_SETFCAP CAP_MAC_OVERRIDE CAP_MAC_ADMIN CAP_SYSLOG CAP_WAKE_ALARM CAP_BLOCK_SUSPEND CAP_AUDIT_READ CAP_PERFMON CAP_BPF CAP_CHECKPOINT_RESTORE'
complete -c bwrap -n 'test (__bwrap_at) = resource' -f -a 'cpu fsize data stack core rss nproc nofile memlock as locks sigpending msgqueue nice rtprio rttime'
complete -c bwrap -n 'test (__bwrap_at) = variable' -f -a '(set -nx)'
complete -c bwrap -n 'test (__bwrap_at) = command' -x -a '(__bwrap_command)'
