# bash completion for bwrap(1).
# Generated from the option table: run "cargo run -p swathe-docs".

_bwrap() {
    local cur=${COMP_WORDS[COMP_CWORD]} at=1 kind=option
    local -a kinds
    COMPREPLY=()
    # Walk the words as bwrap does, up to the one that is completed.
    while ((at < COMP_CWORD)); do
        kinds=()
        case ${COMP_WORDS[at]} in
        --args | --argv0 | --userns | --userns2 | --pidns | --uid | --gid | --hostname | --perms | --size | --seccomp | --add-seccomp-fd | --exec-label | --file-label | --block-fd | --userns-block-fd | --info-fd | --json-status-fd | --sync-fd | --json-errors | --inodes | --default-tmpfs-size | --default-tmpfs-inodes | --keep-fd | --landlock-handle | --netns | --pid-max | --cgroup | --serve | --assume-kernel)
            kinds=(nothing) ;;
        --chdir | --remount-ro | --overlay-src | --tmp-overlay | --ro-overlay | --proc | --dev | --tmpfs | --mqueue | --dir | --lock-file | --mask | --mask-dir | --pin)
            kinds=(path) ;;
        --setenv)
            kinds=(variable nothing) ;;
        --unsetenv)
            kinds=(variable) ;;
        --bind | --bind-try | --dev-bind | --dev-bind-try | --ro-bind | --ro-bind-try | --symlink)
            kinds=(path path) ;;
        --bind-fd | --ro-bind-fd | --file | --bind-data | --ro-bind-data | --chmod | --mask-text | --landlock-allow)
            kinds=(nothing path) ;;
        --overlay)
            kinds=(path path path) ;;
        --cap-add | --cap-drop)
            kinds=(capability) ;;
        --rlimit)
            kinds=(resource nothing) ;;
        --uid-range | --gid-range)
            kinds=(nothing nothing nothing) ;;
        --user-limit | --seccomp-listener)
            kinds=(nothing nothing) ;;
        --)
            ((at++))
            kind=command
            break ;;
        -*) ;;
        *)
            kind=command
            break ;;
        esac
        if ((at + ${#kinds[@]} >= COMP_CWORD)); then
            kind=${kinds[COMP_CWORD - at - 1]}
            break
        fi
        ((at += ${#kinds[@]} + 1))
    done
    case $kind in
        option)
            [[ $cur == -* ]] && mapfile -t COMPREPLY < <(compgen -W "$_bwrap_options" -- "$cur")
            [[ $cur == -* ]] || mapfile -t COMPREPLY < <(compgen -c -- "$cur") ;;
        path)
            compopt -o filenames 2>/dev/null
            mapfile -t COMPREPLY < <(compgen -f -- "$cur") ;;
        capability)
            mapfile -t COMPREPLY < <(compgen -W "ALL CAP_CHOWN CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH CAP_FOWNER CAP_FSETID CAP_KILL CAP_SETGID CAP_SETUID CAP_SETPCAP CAP_LINUX_IMMUTABLE CAP_NET_BIND_SERVICE CAP_NET_BROADCAST CAP_NET_ADMIN CAP_NET_RAW CAP_IPC_LOCK CAP_IPC_OWNER CAP_SYS_MODULE CAP_SYS_RAWIO CAP_SYS_CHROOT CAP_SYS_PTRACE CAP_SYS_PACCT CAP_SYS_ADMIN CAP_SYS_BOOT CAP_SYS_NICE CAP_SYS_RESOURCE CAP_SYS_TIME CAP_SYS_TTY_CONFIG CAP_MKNOD CAP_LEASE CAP_AUDIT_WRITE CAP_AUDIT_CONTROL CAP_SETFCAP CAP_MAC_OVERRIDE CAP_MAC_ADMIN CAP_SYSLOG CAP_WAKE_ALARM CAP_BLOCK_SUSPEND CAP_AUDIT_READ CAP_PERFMON CAP_BPF CAP_CHECKPOINT_RESTORE" -- "$cur") ;;
        resource)
            mapfile -t COMPREPLY < <(compgen -W "cpu fsize data stack core rss nproc nofile memlock as locks sigpending msgqueue nice rtprio rttime" -- "$cur") ;;
        variable)
            mapfile -t COMPREPLY < <(compgen -e -- "$cur") ;;
        command)
            if declare -F _command_offset >/dev/null; then
                _command_offset "$at"
            elif declare -F _comp_command_offset >/dev/null; then
                _comp_command_offset "$at"
            elif ((at == COMP_CWORD)); then
                mapfile -t COMPREPLY < <(compgen -c -- "$cur")
            else
                compopt -o filenames 2>/dev/null
                mapfile -t COMPREPLY < <(compgen -f -- "$cur")
            fi ;;
    esac
}

_bwrap_options="
        --help
        --version
        --args
        --argv0
        --level-prefix
        --unshare-all
        --share-net
        --unshare-user
        --unshare-user-try
        --unshare-ipc
        --unshare-pid
        --unshare-net
        --unshare-uts
        --unshare-cgroup
        --unshare-cgroup-try
        --userns
        --userns2
        --disable-userns
        --assert-userns-disabled
        --pidns
        --uid
        --gid
        --hostname
        --chdir
        --clearenv
        --setenv
        --unsetenv
        --bind
        --bind-try
        --dev-bind
        --dev-bind-try
        --ro-bind
        --ro-bind-try
        --bind-fd
        --ro-bind-fd
        --remount-ro
        --overlay-src
        --overlay
        --tmp-overlay
        --ro-overlay
        --proc
        --dev
        --tmpfs
        --mqueue
        --dir
        --file
        --bind-data
        --ro-bind-data
        --symlink
        --chmod
        --perms
        --size
        --cap-add
        --cap-drop
        --seccomp
        --add-seccomp-fd
        --exec-label
        --file-label
        --not-a-security-boundary
        --block-fd
        --userns-block-fd
        --info-fd
        --json-status-fd
        --sync-fd
        --lock-file
        --new-session
        --die-with-parent
        --as-pid-1
        --json-errors
        --mask
        --mask-dir
        --mask-text
        --pin
        --forward-signals
        --pty
        --rlimit
        --inodes
        --default-tmpfs-size
        --default-tmpfs-inodes
        --close-fds
        --keep-fd
        --scope-signals
        --scope-abstract-sockets
        --landlock-handle
        --landlock-allow
        --uid-range
        --gid-range
        --netns
        --end-with-command
        --user-limit
        --pid-max
        --cgroup
        --serve
        --seccomp-listener
        --quiet-errors
        --assume-kernel
"

complete -F _bwrap bwrap
