# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_swathe_global_optspecs
    string join \n h/help V/version
end

function __fish_swathe_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_swathe_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_swathe_using_subcommand
    set -l cmd (__fish_swathe_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c swathe -n "__fish_swathe_needs_command" -s h -l help -d 'Print help'
complete -c swathe -n "__fish_swathe_needs_command" -s V -l version -d 'Print version'
complete -c swathe -n "__fish_swathe_needs_command" -f -a "run" -d 'Run a program in a sandbox'
complete -c swathe -n "__fish_swathe_needs_command" -f -a "shell" -d 'Run your shell in a sandbox'
complete -c swathe -n "__fish_swathe_needs_command" -f -a "learn" -d 'Watch a program, and write a profile of what it needs'
complete -c swathe -n "__fish_swathe_needs_command" -f -a "explain" -d 'Say what a sandbox would see, and what enforces it; runs nothing'
complete -c swathe -n "__fish_swathe_needs_command" -f -a "why" -d 'Say what a run was denied, by whom, and what would allow it'
complete -c swathe -n "__fish_swathe_needs_command" -f -a "check" -d 'Prove it: probe a sandbox from inside, and the same without one'
complete -c swathe -n "__fish_swathe_needs_command" -f -a "ps" -d 'List running sandboxes'
complete -c swathe -n "__fish_swathe_needs_command" -f -a "net" -d 'Show the network of a running sandbox: hosts, bytes, decisions'
complete -c swathe -n "__fish_swathe_needs_command" -f -a "kill" -d 'End a running sandbox'
complete -c swathe -n "__fish_swathe_needs_command" -f -a "enter" -d 'Run a program, or a shell, in a sandbox that runs already'
complete -c swathe -n "__fish_swathe_needs_command" -f -a "session" -d 'Sandboxes that stay'
complete -c swathe -n "__fish_swathe_needs_command" -f -a "diff" -d 'Show what a workspace changes, the most dangerous first'
complete -c swathe -n "__fish_swathe_needs_command" -f -a "commit" -d 'Bring changes of a workspace to the host, or take the last commit back'
complete -c swathe -n "__fish_swathe_needs_command" -f -a "discard" -d 'Give changes of a workspace up'
complete -c swathe -n "__fish_swathe_needs_command" -f -a "workspace" -d 'Workspaces: what runs with --cow changed'
complete -c swathe -n "__fish_swathe_needs_command" -f -a "doctor" -d 'Say whether this machine can sandbox, and how to fix what forbids it'
complete -c swathe -n "__fish_swathe_needs_command" -f -a "profile" -d 'Check profiles and manifests'
complete -c swathe -n "__fish_swathe_needs_command" -f -a "trash" -d 'What programs removed that ran with access `trash`'
complete -c swathe -n "__fish_swathe_needs_command" -f -a "app" -d 'Apps: what they ask for, and what you allow'
complete -c swathe -n "__fish_swathe_needs_command" -f -a "grants" -d 'Decisions that were made when runs asked, to hold from then on'
complete -c swathe -n "__fish_swathe_needs_command" -f -a "grant" -d 'Allow a running sandbox one thing more'
complete -c swathe -n "__fish_swathe_needs_command" -f -a "revoke" -d 'Take from a running sandbox what it was allowed'
complete -c swathe -n "__fish_swathe_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c swathe -n "__fish_swathe_using_subcommand run" -l cow -d 'Keep changes below a directory, the current one by default, apart in a workspace, for swathe diff and swathe commit; can be repeated' -r
complete -c swathe -n "__fish_swathe_using_subcommand run" -l workspace -d 'Keep the changes in this workspace, over several runs' -r
complete -c swathe -n "__fish_swathe_using_subcommand run" -l cow-size -d 'End the run when the changes hold more than this, such as 2G; looked at twice a second' -r
complete -c swathe -n "__fish_swathe_using_subcommand run" -l cow-files -d 'End the run when the changes are more than this many files; looked at twice a second' -r
complete -c swathe -n "__fish_swathe_using_subcommand run" -s p -l profile -d 'Use a profile, by its name or, with a slash, its path; can be repeated' -r
complete -c swathe -n "__fish_swathe_using_subcommand run" -l app -d 'Run an app that swathe app add knows: what its manifest declares and you granted' -r
complete -c swathe -n "__fish_swathe_using_subcommand run" -s a -l allow -d 'Allow one thing more, such as files.dir=~/data:rw, net.all, gpu, env=NAME' -r
complete -c swathe -n "__fish_swathe_using_subcommand run" -l net -d 'Reach these hosts and no others, such as github.com:443,*.npmjs.org,10.0.0.0/8:5432; or none, loopback, all, ask' -r
complete -c swathe -n "__fish_swathe_using_subcommand run" -l net-deny -d 'Never reach these hosts, whatever allows them' -r
complete -c swathe -n "__fish_swathe_using_subcommand run" -l publish -d 'Let others connect to a port of the sandbox, by one of this machine\'s' -r
complete -c swathe -n "__fish_swathe_using_subcommand run" -l net-proxy -d 'Go through this proxy: http://HOST:PORT or socks5://HOST:PORT' -r
complete -c swathe -n "__fish_swathe_using_subcommand run" -l net-way -d 'How connections are brought out, if not by the best that the machine has: nft, routes or proxy; or, for --net all, pasta in place of sharing the host\'s network' -r
complete -c swathe -n "__fish_swathe_using_subcommand run" -l unprotect -d 'Let protected paths be written to, by their names (such as git-hooks,git-config), or all' -r
complete -c swathe -n "__fish_swathe_using_subcommand run" -l allow-degraded -d 'Run although this layer cannot be enforced here: landlock, namespaces, network' -r
complete -c swathe -n "__fish_swathe_using_subcommand run" -l audit -d 'Append every decision about the program to this file, as lines of JSON' -r
complete -c swathe -n "__fish_swathe_using_subcommand run" -l ask-fd -d 'Let a program answer, over the socket that has this number (docs/ask-protocol.md)' -r
complete -c swathe -n "__fish_swathe_using_subcommand run" -l ask-timeout -d 'Refuse what nobody has answered after so many seconds' -r
complete -c swathe -n "__fish_swathe_using_subcommand run" -l session -d 'Run it in this session instead of a sandbox of its own' -r
complete -c swathe -n "__fish_swathe_using_subcommand run" -s w -l write -d 'Make the current directory writable'
complete -c swathe -n "__fish_swathe_using_subcommand run" -l cow-copy -d 'Work on a copy of the whole directory where an overlay cannot be used'
complete -c swathe -n "__fish_swathe_using_subcommand run" -l cow-discard -d 'Throw the changes away at the end of the run; until then they are kept in memory'
complete -c swathe -n "__fish_swathe_using_subcommand run" -l record -d 'Watch what the program touches, for swathe why'
complete -c swathe -n "__fish_swathe_using_subcommand run" -l ask -d 'Ask on the terminal about what was not granted when the program first wants it'
complete -c swathe -n "__fish_swathe_using_subcommand run" -l no-pty -d 'Use the caller\'s terminal as plain standard streams, without one of its own'
complete -c swathe -n "__fish_swathe_using_subcommand run" -s h -l help -d 'Print help'
complete -c swathe -n "__fish_swathe_using_subcommand shell" -l cow -d 'Keep changes below a directory, the current one by default, apart in a workspace, for swathe diff and swathe commit; can be repeated' -r
complete -c swathe -n "__fish_swathe_using_subcommand shell" -l workspace -d 'Keep the changes in this workspace, over several runs' -r
complete -c swathe -n "__fish_swathe_using_subcommand shell" -l cow-size -d 'End the run when the changes hold more than this, such as 2G; looked at twice a second' -r
complete -c swathe -n "__fish_swathe_using_subcommand shell" -l cow-files -d 'End the run when the changes are more than this many files; looked at twice a second' -r
complete -c swathe -n "__fish_swathe_using_subcommand shell" -s p -l profile -d 'Use a profile, by its name or, with a slash, its path; can be repeated' -r
complete -c swathe -n "__fish_swathe_using_subcommand shell" -l app -d 'Run an app that swathe app add knows: what its manifest declares and you granted' -r
complete -c swathe -n "__fish_swathe_using_subcommand shell" -s a -l allow -d 'Allow one thing more, such as files.dir=~/data:rw, net.all, gpu, env=NAME' -r
complete -c swathe -n "__fish_swathe_using_subcommand shell" -l net -d 'Reach these hosts and no others, such as github.com:443,*.npmjs.org,10.0.0.0/8:5432; or none, loopback, all, ask' -r
complete -c swathe -n "__fish_swathe_using_subcommand shell" -l net-deny -d 'Never reach these hosts, whatever allows them' -r
complete -c swathe -n "__fish_swathe_using_subcommand shell" -l publish -d 'Let others connect to a port of the sandbox, by one of this machine\'s' -r
complete -c swathe -n "__fish_swathe_using_subcommand shell" -l net-proxy -d 'Go through this proxy: http://HOST:PORT or socks5://HOST:PORT' -r
complete -c swathe -n "__fish_swathe_using_subcommand shell" -l net-way -d 'How connections are brought out, if not by the best that the machine has: nft, routes or proxy; or, for --net all, pasta in place of sharing the host\'s network' -r
complete -c swathe -n "__fish_swathe_using_subcommand shell" -l unprotect -d 'Let protected paths be written to, by their names (such as git-hooks,git-config), or all' -r
complete -c swathe -n "__fish_swathe_using_subcommand shell" -l allow-degraded -d 'Run although this layer cannot be enforced here: landlock, namespaces, network' -r
complete -c swathe -n "__fish_swathe_using_subcommand shell" -l audit -d 'Append every decision about the program to this file, as lines of JSON' -r
complete -c swathe -n "__fish_swathe_using_subcommand shell" -l ask-fd -d 'Let a program answer, over the socket that has this number (docs/ask-protocol.md)' -r
complete -c swathe -n "__fish_swathe_using_subcommand shell" -l ask-timeout -d 'Refuse what nobody has answered after so many seconds' -r
complete -c swathe -n "__fish_swathe_using_subcommand shell" -s w -l write -d 'Make the current directory writable'
complete -c swathe -n "__fish_swathe_using_subcommand shell" -l cow-copy -d 'Work on a copy of the whole directory where an overlay cannot be used'
complete -c swathe -n "__fish_swathe_using_subcommand shell" -l cow-discard -d 'Throw the changes away at the end of the run; until then they are kept in memory'
complete -c swathe -n "__fish_swathe_using_subcommand shell" -l record -d 'Watch what the program touches, for swathe why'
complete -c swathe -n "__fish_swathe_using_subcommand shell" -l ask -d 'Ask on the terminal about what was not granted when the program first wants it'
complete -c swathe -n "__fish_swathe_using_subcommand shell" -l no-pty -d 'Use the caller\'s terminal as plain standard streams, without one of its own'
complete -c swathe -n "__fish_swathe_using_subcommand shell" -s h -l help -d 'Print help'
complete -c swathe -n "__fish_swathe_using_subcommand learn" -s o -l output -d 'Write the profile to this file, which must not exist; - is standard output' -r -F
complete -c swathe -n "__fish_swathe_using_subcommand learn" -l name -d 'Write it as a profile of this name, for swathe run --profile NAME [default: the program\'s]' -r
complete -c swathe -n "__fish_swathe_using_subcommand learn" -l merge -d 'Add to this profile what it lacks, and show the difference' -r
complete -c swathe -n "__fish_swathe_using_subcommand learn" -l html -d 'Also write a report for a browser' -r -F
complete -c swathe -n "__fish_swathe_using_subcommand learn" -l from -d 'Learn from a file that --audit wrote, in the same directory, instead of a run' -r -F
complete -c swathe -n "__fish_swathe_using_subcommand learn" -l expect -d 'The exit status that means success' -r
complete -c swathe -n "__fish_swathe_using_subcommand learn" -s a -l allow -d 'Allow this while watching, such as env=NAME' -r
complete -c swathe -n "__fish_swathe_using_subcommand learn" -l net -d 'Reach these hosts while watching, as swathe run has it; left out: every host of the internet at every port' -r
complete -c swathe -n "__fish_swathe_using_subcommand learn" -l allow-degraded -d 'Watch although this layer cannot be enforced here: landlock' -r
complete -c swathe -n "__fish_swathe_using_subcommand learn" -s y -l yes -d 'Change the profile without asking'
complete -c swathe -n "__fish_swathe_using_subcommand learn" -l strict -d 'Access no broader than what was seen, such as no-delete; the next run may need more'
complete -c swathe -n "__fish_swathe_using_subcommand learn" -l no-net -d 'Watch without a network'
complete -c swathe -n "__fish_swathe_using_subcommand learn" -l no-pty -d 'Use the caller\'s terminal as plain standard streams, without one of its own'
complete -c swathe -n "__fish_swathe_using_subcommand learn" -s h -l help -d 'Print help'
complete -c swathe -n "__fish_swathe_using_subcommand explain" -l cow -d 'Keep changes below a directory, the current one by default, apart in a workspace, for swathe diff and swathe commit; can be repeated' -r
complete -c swathe -n "__fish_swathe_using_subcommand explain" -l workspace -d 'Keep the changes in this workspace, over several runs' -r
complete -c swathe -n "__fish_swathe_using_subcommand explain" -l cow-size -d 'End the run when the changes hold more than this, such as 2G; looked at twice a second' -r
complete -c swathe -n "__fish_swathe_using_subcommand explain" -l cow-files -d 'End the run when the changes are more than this many files; looked at twice a second' -r
complete -c swathe -n "__fish_swathe_using_subcommand explain" -s p -l profile -d 'Use a profile, by its name or, with a slash, its path; can be repeated' -r
complete -c swathe -n "__fish_swathe_using_subcommand explain" -l app -d 'Run an app that swathe app add knows: what its manifest declares and you granted' -r
complete -c swathe -n "__fish_swathe_using_subcommand explain" -s a -l allow -d 'Allow one thing more, such as files.dir=~/data:rw, net.all, gpu, env=NAME' -r
complete -c swathe -n "__fish_swathe_using_subcommand explain" -l net -d 'Reach these hosts and no others, such as github.com:443,*.npmjs.org,10.0.0.0/8:5432; or none, loopback, all, ask' -r
complete -c swathe -n "__fish_swathe_using_subcommand explain" -l net-deny -d 'Never reach these hosts, whatever allows them' -r
complete -c swathe -n "__fish_swathe_using_subcommand explain" -l publish -d 'Let others connect to a port of the sandbox, by one of this machine\'s' -r
complete -c swathe -n "__fish_swathe_using_subcommand explain" -l net-proxy -d 'Go through this proxy: http://HOST:PORT or socks5://HOST:PORT' -r
complete -c swathe -n "__fish_swathe_using_subcommand explain" -l net-way -d 'How connections are brought out, if not by the best that the machine has: nft, routes or proxy; or, for --net all, pasta in place of sharing the host\'s network' -r
complete -c swathe -n "__fish_swathe_using_subcommand explain" -l unprotect -d 'Let protected paths be written to, by their names (such as git-hooks,git-config), or all' -r
complete -c swathe -n "__fish_swathe_using_subcommand explain" -l allow-degraded -d 'Run although this layer cannot be enforced here: landlock, namespaces, network' -r
complete -c swathe -n "__fish_swathe_using_subcommand explain" -l audit -d 'Append every decision about the program to this file, as lines of JSON' -r
complete -c swathe -n "__fish_swathe_using_subcommand explain" -l ask-fd -d 'Let a program answer, over the socket that has this number (docs/ask-protocol.md)' -r
complete -c swathe -n "__fish_swathe_using_subcommand explain" -l ask-timeout -d 'Refuse what nobody has answered after so many seconds' -r
complete -c swathe -n "__fish_swathe_using_subcommand explain" -l format -d 'How it is shown' -r -f -a "tree\t'For people'
bwrap\t'The words of a bwrap command'
json\t'For programs'"
complete -c swathe -n "__fish_swathe_using_subcommand explain" -s w -l write -d 'Make the current directory writable'
complete -c swathe -n "__fish_swathe_using_subcommand explain" -l cow-copy -d 'Work on a copy of the whole directory where an overlay cannot be used'
complete -c swathe -n "__fish_swathe_using_subcommand explain" -l cow-discard -d 'Throw the changes away at the end of the run; until then they are kept in memory'
complete -c swathe -n "__fish_swathe_using_subcommand explain" -l record -d 'Watch what the program touches, for swathe why'
complete -c swathe -n "__fish_swathe_using_subcommand explain" -l ask -d 'Ask on the terminal about what was not granted when the program first wants it'
complete -c swathe -n "__fish_swathe_using_subcommand explain" -l no-pty -d 'Use the caller\'s terminal as plain standard streams, without one of its own'
complete -c swathe -n "__fish_swathe_using_subcommand explain" -l json -d 'The same as --format json'
complete -c swathe -n "__fish_swathe_using_subcommand explain" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c swathe -n "__fish_swathe_using_subcommand why" -l all -d 'Show also what programs usually do without'
complete -c swathe -n "__fish_swathe_using_subcommand why" -l list -d 'List the runs that are kept'
complete -c swathe -n "__fish_swathe_using_subcommand why" -l json -d 'Print JSON'
complete -c swathe -n "__fish_swathe_using_subcommand why" -s h -l help -d 'Print help'
complete -c swathe -n "__fish_swathe_using_subcommand check" -l cow -d 'Keep changes below a directory, the current one by default, apart in a workspace, for swathe diff and swathe commit; can be repeated' -r
complete -c swathe -n "__fish_swathe_using_subcommand check" -l workspace -d 'Keep the changes in this workspace, over several runs' -r
complete -c swathe -n "__fish_swathe_using_subcommand check" -l cow-size -d 'End the run when the changes hold more than this, such as 2G; looked at twice a second' -r
complete -c swathe -n "__fish_swathe_using_subcommand check" -l cow-files -d 'End the run when the changes are more than this many files; looked at twice a second' -r
complete -c swathe -n "__fish_swathe_using_subcommand check" -s p -l profile -d 'Use a profile, by its name or, with a slash, its path; can be repeated' -r
complete -c swathe -n "__fish_swathe_using_subcommand check" -l app -d 'Run an app that swathe app add knows: what its manifest declares and you granted' -r
complete -c swathe -n "__fish_swathe_using_subcommand check" -s a -l allow -d 'Allow one thing more, such as files.dir=~/data:rw, net.all, gpu, env=NAME' -r
complete -c swathe -n "__fish_swathe_using_subcommand check" -l net -d 'Reach these hosts and no others, such as github.com:443,*.npmjs.org,10.0.0.0/8:5432; or none, loopback, all, ask' -r
complete -c swathe -n "__fish_swathe_using_subcommand check" -l net-deny -d 'Never reach these hosts, whatever allows them' -r
complete -c swathe -n "__fish_swathe_using_subcommand check" -l publish -d 'Let others connect to a port of the sandbox, by one of this machine\'s' -r
complete -c swathe -n "__fish_swathe_using_subcommand check" -l net-proxy -d 'Go through this proxy: http://HOST:PORT or socks5://HOST:PORT' -r
complete -c swathe -n "__fish_swathe_using_subcommand check" -l net-way -d 'How connections are brought out, if not by the best that the machine has: nft, routes or proxy; or, for --net all, pasta in place of sharing the host\'s network' -r
complete -c swathe -n "__fish_swathe_using_subcommand check" -l unprotect -d 'Let protected paths be written to, by their names (such as git-hooks,git-config), or all' -r
complete -c swathe -n "__fish_swathe_using_subcommand check" -l allow-degraded -d 'Run although this layer cannot be enforced here: landlock, namespaces, network' -r
complete -c swathe -n "__fish_swathe_using_subcommand check" -l audit -d 'Append every decision about the program to this file, as lines of JSON' -r
complete -c swathe -n "__fish_swathe_using_subcommand check" -l ask-fd -d 'Let a program answer, over the socket that has this number (docs/ask-protocol.md)' -r
complete -c swathe -n "__fish_swathe_using_subcommand check" -l ask-timeout -d 'Refuse what nobody has answered after so many seconds' -r
complete -c swathe -n "__fish_swathe_using_subcommand check" -s w -l write -d 'Make the current directory writable'
complete -c swathe -n "__fish_swathe_using_subcommand check" -l cow-copy -d 'Work on a copy of the whole directory where an overlay cannot be used'
complete -c swathe -n "__fish_swathe_using_subcommand check" -l cow-discard -d 'Throw the changes away at the end of the run; until then they are kept in memory'
complete -c swathe -n "__fish_swathe_using_subcommand check" -l record -d 'Watch what the program touches, for swathe why'
complete -c swathe -n "__fish_swathe_using_subcommand check" -l ask -d 'Ask on the terminal about what was not granted when the program first wants it'
complete -c swathe -n "__fish_swathe_using_subcommand check" -l no-pty -d 'Use the caller\'s terminal as plain standard streams, without one of its own'
complete -c swathe -n "__fish_swathe_using_subcommand check" -l json -d 'Print JSON'
complete -c swathe -n "__fish_swathe_using_subcommand check" -s v -l verbose -d 'Say what each probe tried and found'
complete -c swathe -n "__fish_swathe_using_subcommand check" -s h -l help -d 'Print help'
complete -c swathe -n "__fish_swathe_using_subcommand ps" -l json -d 'Print JSON'
complete -c swathe -n "__fish_swathe_using_subcommand ps" -s h -l help -d 'Print help'
complete -c swathe -n "__fish_swathe_using_subcommand net" -l json -d 'Print JSON'
complete -c swathe -n "__fish_swathe_using_subcommand net" -s f -l follow -d 'Show it again every second, until it ends'
complete -c swathe -n "__fish_swathe_using_subcommand net" -s h -l help -d 'Print help'
complete -c swathe -n "__fish_swathe_using_subcommand kill" -l now -d 'End it at once instead of asking its program to end first'
complete -c swathe -n "__fish_swathe_using_subcommand kill" -s h -l help -d 'Print help'
complete -c swathe -n "__fish_swathe_using_subcommand enter" -s h -l help -d 'Print help'
complete -c swathe -n "__fish_swathe_using_subcommand session; and not __fish_seen_subcommand_from start stop help" -s h -l help -d 'Print help'
complete -c swathe -n "__fish_swathe_using_subcommand session; and not __fish_seen_subcommand_from start stop help" -f -a "start" -d 'Start a sandbox that stays until it is stopped'
complete -c swathe -n "__fish_swathe_using_subcommand session; and not __fish_seen_subcommand_from start stop help" -f -a "stop" -d 'End sessions and everything that runs in them'
complete -c swathe -n "__fish_swathe_using_subcommand session; and not __fish_seen_subcommand_from start stop help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c swathe -n "__fish_swathe_using_subcommand session; and __fish_seen_subcommand_from start" -l cow -d 'Keep changes below a directory, the current one by default, apart in a workspace, for swathe diff and swathe commit; can be repeated' -r
complete -c swathe -n "__fish_swathe_using_subcommand session; and __fish_seen_subcommand_from start" -l workspace -d 'Keep the changes in this workspace, over several runs' -r
complete -c swathe -n "__fish_swathe_using_subcommand session; and __fish_seen_subcommand_from start" -l cow-size -d 'End the run when the changes hold more than this, such as 2G; looked at twice a second' -r
complete -c swathe -n "__fish_swathe_using_subcommand session; and __fish_seen_subcommand_from start" -l cow-files -d 'End the run when the changes are more than this many files; looked at twice a second' -r
complete -c swathe -n "__fish_swathe_using_subcommand session; and __fish_seen_subcommand_from start" -s p -l profile -d 'Use a profile, by its name or, with a slash, its path; can be repeated' -r
complete -c swathe -n "__fish_swathe_using_subcommand session; and __fish_seen_subcommand_from start" -l app -d 'Run an app that swathe app add knows: what its manifest declares and you granted' -r
complete -c swathe -n "__fish_swathe_using_subcommand session; and __fish_seen_subcommand_from start" -s a -l allow -d 'Allow one thing more, such as files.dir=~/data:rw, net.all, gpu, env=NAME' -r
complete -c swathe -n "__fish_swathe_using_subcommand session; and __fish_seen_subcommand_from start" -l net -d 'Reach these hosts and no others, such as github.com:443,*.npmjs.org,10.0.0.0/8:5432; or none, loopback, all, ask' -r
complete -c swathe -n "__fish_swathe_using_subcommand session; and __fish_seen_subcommand_from start" -l net-deny -d 'Never reach these hosts, whatever allows them' -r
complete -c swathe -n "__fish_swathe_using_subcommand session; and __fish_seen_subcommand_from start" -l publish -d 'Let others connect to a port of the sandbox, by one of this machine\'s' -r
complete -c swathe -n "__fish_swathe_using_subcommand session; and __fish_seen_subcommand_from start" -l net-proxy -d 'Go through this proxy: http://HOST:PORT or socks5://HOST:PORT' -r
complete -c swathe -n "__fish_swathe_using_subcommand session; and __fish_seen_subcommand_from start" -l net-way -d 'How connections are brought out, if not by the best that the machine has: nft, routes or proxy; or, for --net all, pasta in place of sharing the host\'s network' -r
complete -c swathe -n "__fish_swathe_using_subcommand session; and __fish_seen_subcommand_from start" -l unprotect -d 'Let protected paths be written to, by their names (such as git-hooks,git-config), or all' -r
complete -c swathe -n "__fish_swathe_using_subcommand session; and __fish_seen_subcommand_from start" -l allow-degraded -d 'Run although this layer cannot be enforced here: landlock, namespaces, network' -r
complete -c swathe -n "__fish_swathe_using_subcommand session; and __fish_seen_subcommand_from start" -l audit -d 'Append every decision about the program to this file, as lines of JSON' -r
complete -c swathe -n "__fish_swathe_using_subcommand session; and __fish_seen_subcommand_from start" -l ask-fd -d 'Let a program answer, over the socket that has this number (docs/ask-protocol.md)' -r
complete -c swathe -n "__fish_swathe_using_subcommand session; and __fish_seen_subcommand_from start" -l ask-timeout -d 'Refuse what nobody has answered after so many seconds' -r
complete -c swathe -n "__fish_swathe_using_subcommand session; and __fish_seen_subcommand_from start" -s w -l write -d 'Make the current directory writable'
complete -c swathe -n "__fish_swathe_using_subcommand session; and __fish_seen_subcommand_from start" -l cow-copy -d 'Work on a copy of the whole directory where an overlay cannot be used'
complete -c swathe -n "__fish_swathe_using_subcommand session; and __fish_seen_subcommand_from start" -l cow-discard -d 'Throw the changes away at the end of the run; until then they are kept in memory'
complete -c swathe -n "__fish_swathe_using_subcommand session; and __fish_seen_subcommand_from start" -l record -d 'Watch what the program touches, for swathe why'
complete -c swathe -n "__fish_swathe_using_subcommand session; and __fish_seen_subcommand_from start" -l ask -d 'Ask on the terminal about what was not granted when the program first wants it'
complete -c swathe -n "__fish_swathe_using_subcommand session; and __fish_seen_subcommand_from start" -l no-pty -d 'Use the caller\'s terminal as plain standard streams, without one of its own'
complete -c swathe -n "__fish_swathe_using_subcommand session; and __fish_seen_subcommand_from start" -s h -l help -d 'Print help'
complete -c swathe -n "__fish_swathe_using_subcommand session; and __fish_seen_subcommand_from stop" -s h -l help -d 'Print help'
complete -c swathe -n "__fish_swathe_using_subcommand session; and __fish_seen_subcommand_from help" -f -a "start" -d 'Start a sandbox that stays until it is stopped'
complete -c swathe -n "__fish_swathe_using_subcommand session; and __fish_seen_subcommand_from help" -f -a "stop" -d 'End sessions and everything that runs in them'
complete -c swathe -n "__fish_swathe_using_subcommand session; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c swathe -n "__fish_swathe_using_subcommand diff" -l tool -d 'Show both sides of each file with this tool of git difftool, by default git\'s diff.tool' -r
complete -c swathe -n "__fish_swathe_using_subcommand diff" -s U -l unified -d 'Lines around each hunk' -r
complete -c swathe -n "__fish_swathe_using_subcommand diff" -l stat -d 'Only a line for each changed path, and how many lines change'
complete -c swathe -n "__fish_swathe_using_subcommand diff" -l name-only -d 'Only the changed paths'
complete -c swathe -n "__fish_swathe_using_subcommand diff" -s z -d 'With --name-only: paths as they are, each ended by a NUL'
complete -c swathe -n "__fish_swathe_using_subcommand diff" -l json -d 'Print JSON'
complete -c swathe -n "__fish_swathe_using_subcommand diff" -l no-pager -d 'Do not start a pager'
complete -c swathe -n "__fish_swathe_using_subcommand diff" -s h -l help -d 'Print help'
complete -c swathe -n "__fish_swathe_using_subcommand commit" -s i -l interactive -d 'Choose on the terminal, file by file and hunk by hunk'
complete -c swathe -n "__fish_swathe_using_subcommand commit" -s n -l dry-run -d 'Only say what would be done'
complete -c swathe -n "__fish_swathe_using_subcommand commit" -l merge -d 'Merge texts that the host changed, too, in other places'
complete -c swathe -n "__fish_swathe_using_subcommand commit" -l skip-conflicts -d 'Commit what is in no conflict with the host, and leave the rest in the workspace'
complete -c swathe -n "__fish_swathe_using_subcommand commit" -s y -l yes -d 'Commit also what is marked as dangerous, without being asked'
complete -c swathe -n "__fish_swathe_using_subcommand commit" -l undo -d 'Take the last commit back: the changes are in the workspace again'
complete -c swathe -n "__fish_swathe_using_subcommand commit" -l resume -d 'Only end what was interrupted'
complete -c swathe -n "__fish_swathe_using_subcommand commit" -s h -l help -d 'Print help'
complete -c swathe -n "__fish_swathe_using_subcommand discard" -s n -l dry-run -d 'Only say what would be done'
complete -c swathe -n "__fish_swathe_using_subcommand discard" -s h -l help -d 'Print help'
complete -c swathe -n "__fish_swathe_using_subcommand workspace; and not __fish_seen_subcommand_from list show rm gc help" -s h -l help -d 'Print help'
complete -c swathe -n "__fish_swathe_using_subcommand workspace; and not __fish_seen_subcommand_from list show rm gc help" -f -a "list" -d 'List workspaces'
complete -c swathe -n "__fish_swathe_using_subcommand workspace; and not __fish_seen_subcommand_from list show rm gc help" -f -a "show" -d 'Say what a workspace holds, where it lies, and what of it to look at first'
complete -c swathe -n "__fish_swathe_using_subcommand workspace; and not __fish_seen_subcommand_from list show rm gc help" -f -a "rm" -d 'Remove workspaces with all changes in them, and what was saved to undo commits'
complete -c swathe -n "__fish_swathe_using_subcommand workspace; and not __fish_seen_subcommand_from list show rm gc help" -f -a "gc" -d 'Remove what nobody needs: empty workspaces of runs that have ended, old copies for undo, leftovers'
complete -c swathe -n "__fish_swathe_using_subcommand workspace; and not __fish_seen_subcommand_from list show rm gc help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c swathe -n "__fish_swathe_using_subcommand workspace; and __fish_seen_subcommand_from list" -l json -d 'Print JSON'
complete -c swathe -n "__fish_swathe_using_subcommand workspace; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c swathe -n "__fish_swathe_using_subcommand workspace; and __fish_seen_subcommand_from show" -l json -d 'Print JSON'
complete -c swathe -n "__fish_swathe_using_subcommand workspace; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help'
complete -c swathe -n "__fish_swathe_using_subcommand workspace; and __fish_seen_subcommand_from rm" -s n -l dry-run -d 'Only say what would be done'
complete -c swathe -n "__fish_swathe_using_subcommand workspace; and __fish_seen_subcommand_from rm" -s h -l help -d 'Print help'
complete -c swathe -n "__fish_swathe_using_subcommand workspace; and __fish_seen_subcommand_from gc" -s n -l dry-run -d 'Only say what would be done'
complete -c swathe -n "__fish_swathe_using_subcommand workspace; and __fish_seen_subcommand_from gc" -l json -d 'Print JSON'
complete -c swathe -n "__fish_swathe_using_subcommand workspace; and __fish_seen_subcommand_from gc" -s h -l help -d 'Print help'
complete -c swathe -n "__fish_swathe_using_subcommand workspace; and __fish_seen_subcommand_from help" -f -a "list" -d 'List workspaces'
complete -c swathe -n "__fish_swathe_using_subcommand workspace; and __fish_seen_subcommand_from help" -f -a "show" -d 'Say what a workspace holds, where it lies, and what of it to look at first'
complete -c swathe -n "__fish_swathe_using_subcommand workspace; and __fish_seen_subcommand_from help" -f -a "rm" -d 'Remove workspaces with all changes in them, and what was saved to undo commits'
complete -c swathe -n "__fish_swathe_using_subcommand workspace; and __fish_seen_subcommand_from help" -f -a "gc" -d 'Remove what nobody needs: empty workspaces of runs that have ended, old copies for undo, leftovers'
complete -c swathe -n "__fish_swathe_using_subcommand workspace; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c swathe -n "__fish_swathe_using_subcommand doctor" -l facts -d 'Judge what `swathe doctor --json` printed elsewhere ("-": standard input)' -r -F
complete -c swathe -n "__fish_swathe_using_subcommand doctor" -l json -d 'Print JSON'
complete -c swathe -n "__fish_swathe_using_subcommand doctor" -s h -l help -d 'Print help'
complete -c swathe -n "__fish_swathe_using_subcommand profile; and not __fish_seen_subcommand_from check schema help" -s h -l help -d 'Print help'
complete -c swathe -n "__fish_swathe_using_subcommand profile; and not __fish_seen_subcommand_from check schema help" -f -a "check" -d 'Say what is wrong with a profile or manifest'
complete -c swathe -n "__fish_swathe_using_subcommand profile; and not __fish_seen_subcommand_from check schema help" -f -a "schema" -d 'Print the JSON schema of profiles'
complete -c swathe -n "__fish_swathe_using_subcommand profile; and not __fish_seen_subcommand_from check schema help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c swathe -n "__fish_swathe_using_subcommand profile; and __fish_seen_subcommand_from check" -l json -d 'Print JSON'
complete -c swathe -n "__fish_swathe_using_subcommand profile; and __fish_seen_subcommand_from check" -s h -l help -d 'Print help'
complete -c swathe -n "__fish_swathe_using_subcommand profile; and __fish_seen_subcommand_from schema" -l manifest -d 'That of manifests'
complete -c swathe -n "__fish_swathe_using_subcommand profile; and __fish_seen_subcommand_from schema" -s h -l help -d 'Print help'
complete -c swathe -n "__fish_swathe_using_subcommand profile; and __fish_seen_subcommand_from help" -f -a "check" -d 'Say what is wrong with a profile or manifest'
complete -c swathe -n "__fish_swathe_using_subcommand profile; and __fish_seen_subcommand_from help" -f -a "schema" -d 'Print the JSON schema of profiles'
complete -c swathe -n "__fish_swathe_using_subcommand profile; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c swathe -n "__fish_swathe_using_subcommand trash; and not __fish_seen_subcommand_from list restore empty limits help" -s h -l help -d 'Print help'
complete -c swathe -n "__fish_swathe_using_subcommand trash; and not __fish_seen_subcommand_from list restore empty limits help" -f -a "list" -d 'List what is in the trash, the newest first'
complete -c swathe -n "__fish_swathe_using_subcommand trash; and not __fish_seen_subcommand_from list restore empty limits help" -f -a "restore" -d 'Put things back where they were'
complete -c swathe -n "__fish_swathe_using_subcommand trash; and not __fish_seen_subcommand_from list restore empty limits help" -f -a "empty" -d 'Destroy what is in the trash'
complete -c swathe -n "__fish_swathe_using_subcommand trash; and not __fish_seen_subcommand_from list restore empty limits help" -f -a "limits" -d 'Show or set how much each trash may hold'
complete -c swathe -n "__fish_swathe_using_subcommand trash; and not __fish_seen_subcommand_from list restore empty limits help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c swathe -n "__fish_swathe_using_subcommand trash; and __fish_seen_subcommand_from list" -l run -d 'What this run removed' -r
complete -c swathe -n "__fish_swathe_using_subcommand trash; and __fish_seen_subcommand_from list" -l json -d 'Print JSON'
complete -c swathe -n "__fish_swathe_using_subcommand trash; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c swathe -n "__fish_swathe_using_subcommand trash; and __fish_seen_subcommand_from restore" -l to -d 'Put it there instead; into it if it is a directory' -r -F
complete -c swathe -n "__fish_swathe_using_subcommand trash; and __fish_seen_subcommand_from restore" -l run -d 'What this run removed' -r
complete -c swathe -n "__fish_swathe_using_subcommand trash; and __fish_seen_subcommand_from restore" -l parents -d 'Make directories that are missing'
complete -c swathe -n "__fish_swathe_using_subcommand trash; and __fish_seen_subcommand_from restore" -s h -l help -d 'Print help'
complete -c swathe -n "__fish_swathe_using_subcommand trash; and __fish_seen_subcommand_from empty" -l older-than -d 'Only what was removed longer ago, such as 30d, 12h, 15m' -r
complete -c swathe -n "__fish_swathe_using_subcommand trash; and __fish_seen_subcommand_from empty" -l run -d 'Only what this run removed' -r
complete -c swathe -n "__fish_swathe_using_subcommand trash; and __fish_seen_subcommand_from empty" -l all -d 'Everything'
complete -c swathe -n "__fish_swathe_using_subcommand trash; and __fish_seen_subcommand_from empty" -s y -l yes -d 'Do not ask'
complete -c swathe -n "__fish_swathe_using_subcommand trash; and __fish_seen_subcommand_from empty" -s h -l help -d 'Print help'
complete -c swathe -n "__fish_swathe_using_subcommand trash; and __fish_seen_subcommand_from limits" -l size -d 'The most that one may hold, in bytes or with K, M, G or T' -r
complete -c swathe -n "__fish_swathe_using_subcommand trash; and __fish_seen_subcommand_from limits" -l entries -d 'The most things' -r
complete -c swathe -n "__fish_swathe_using_subcommand trash; and __fish_seen_subcommand_from limits" -s h -l help -d 'Print help'
complete -c swathe -n "__fish_swathe_using_subcommand trash; and __fish_seen_subcommand_from help" -f -a "list" -d 'List what is in the trash, the newest first'
complete -c swathe -n "__fish_swathe_using_subcommand trash; and __fish_seen_subcommand_from help" -f -a "restore" -d 'Put things back where they were'
complete -c swathe -n "__fish_swathe_using_subcommand trash; and __fish_seen_subcommand_from help" -f -a "empty" -d 'Destroy what is in the trash'
complete -c swathe -n "__fish_swathe_using_subcommand trash; and __fish_seen_subcommand_from help" -f -a "limits" -d 'Show or set how much each trash may hold'
complete -c swathe -n "__fish_swathe_using_subcommand trash; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c swathe -n "__fish_swathe_using_subcommand app; and not __fish_seen_subcommand_from add list show grant revoke forget help" -s h -l help -d 'Print help'
complete -c swathe -n "__fish_swathe_using_subcommand app; and not __fish_seen_subcommand_from add list show grant revoke forget help" -f -a "add" -d 'Add an app by its manifest; nothing is granted by that'
complete -c swathe -n "__fish_swathe_using_subcommand app; and not __fish_seen_subcommand_from add list show grant revoke forget help" -f -a "list" -d 'List apps'
complete -c swathe -n "__fish_swathe_using_subcommand app; and not __fish_seen_subcommand_from add list show grant revoke forget help" -f -a "show" -d 'Show what an app asks for, what was granted, and what it used'
complete -c swathe -n "__fish_swathe_using_subcommand app; and not __fish_seen_subcommand_from add list show grant revoke forget help" -f -a "grant" -d 'Allow what an app asks for; asks what was not decided where no intent is named'
complete -c swathe -n "__fish_swathe_using_subcommand app; and not __fish_seen_subcommand_from add list show grant revoke forget help" -f -a "revoke" -d 'Refuse what an app asks for, also what was granted before'
complete -c swathe -n "__fish_swathe_using_subcommand app; and not __fish_seen_subcommand_from add list show grant revoke forget help" -f -a "forget" -d 'Forget decisions about an app, so that they are asked again; or the whole app'
complete -c swathe -n "__fish_swathe_using_subcommand app; and not __fish_seen_subcommand_from add list show grant revoke forget help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c swathe -n "__fish_swathe_using_subcommand app; and __fish_seen_subcommand_from add" -l replace -d 'Take it in place of another manifest of the same app'
complete -c swathe -n "__fish_swathe_using_subcommand app; and __fish_seen_subcommand_from add" -s h -l help -d 'Print help'
complete -c swathe -n "__fish_swathe_using_subcommand app; and __fish_seen_subcommand_from list" -l json -d 'Print JSON'
complete -c swathe -n "__fish_swathe_using_subcommand app; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c swathe -n "__fish_swathe_using_subcommand app; and __fish_seen_subcommand_from show" -l json -d 'Print JSON'
complete -c swathe -n "__fish_swathe_using_subcommand app; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help'
complete -c swathe -n "__fish_swathe_using_subcommand app; and __fish_seen_subcommand_from grant" -l all -d 'All that the app asks for'
complete -c swathe -n "__fish_swathe_using_subcommand app; and __fish_seen_subcommand_from grant" -s h -l help -d 'Print help'
complete -c swathe -n "__fish_swathe_using_subcommand app; and __fish_seen_subcommand_from revoke" -l all -d 'All that the app asks for'
complete -c swathe -n "__fish_swathe_using_subcommand app; and __fish_seen_subcommand_from revoke" -s h -l help -d 'Print help'
complete -c swathe -n "__fish_swathe_using_subcommand app; and __fish_seen_subcommand_from forget" -l decisions -d 'Keep the app, forget the decisions'
complete -c swathe -n "__fish_swathe_using_subcommand app; and __fish_seen_subcommand_from forget" -s h -l help -d 'Print help'
complete -c swathe -n "__fish_swathe_using_subcommand app; and __fish_seen_subcommand_from help" -f -a "add" -d 'Add an app by its manifest; nothing is granted by that'
complete -c swathe -n "__fish_swathe_using_subcommand app; and __fish_seen_subcommand_from help" -f -a "list" -d 'List apps'
complete -c swathe -n "__fish_swathe_using_subcommand app; and __fish_seen_subcommand_from help" -f -a "show" -d 'Show what an app asks for, what was granted, and what it used'
complete -c swathe -n "__fish_swathe_using_subcommand app; and __fish_seen_subcommand_from help" -f -a "grant" -d 'Allow what an app asks for; asks what was not decided where no intent is named'
complete -c swathe -n "__fish_swathe_using_subcommand app; and __fish_seen_subcommand_from help" -f -a "revoke" -d 'Refuse what an app asks for, also what was granted before'
complete -c swathe -n "__fish_swathe_using_subcommand app; and __fish_seen_subcommand_from help" -f -a "forget" -d 'Forget decisions about an app, so that they are asked again; or the whole app'
complete -c swathe -n "__fish_swathe_using_subcommand app; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c swathe -n "__fish_swathe_using_subcommand grants; and not __fish_seen_subcommand_from forget help" -l json -d 'Print JSON'
complete -c swathe -n "__fish_swathe_using_subcommand grants; and not __fish_seen_subcommand_from forget help" -s h -l help -d 'Print help'
complete -c swathe -n "__fish_swathe_using_subcommand grants; and not __fish_seen_subcommand_from forget help" -f -a "forget" -d 'Forget decisions, so that they are asked again'
complete -c swathe -n "__fish_swathe_using_subcommand grants; and not __fish_seen_subcommand_from forget help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c swathe -n "__fish_swathe_using_subcommand grants; and __fish_seen_subcommand_from forget" -l all -d 'All of them'
complete -c swathe -n "__fish_swathe_using_subcommand grants; and __fish_seen_subcommand_from forget" -s h -l help -d 'Print help'
complete -c swathe -n "__fish_swathe_using_subcommand grants; and __fish_seen_subcommand_from help" -f -a "forget" -d 'Forget decisions, so that they are asked again'
complete -c swathe -n "__fish_swathe_using_subcommand grants; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c swathe -n "__fish_swathe_using_subcommand grant" -s h -l help -d 'Print help'
complete -c swathe -n "__fish_swathe_using_subcommand revoke" -s h -l help -d 'Print help'
complete -c swathe -n "__fish_swathe_using_subcommand help; and not __fish_seen_subcommand_from run shell learn explain why check ps net kill enter session diff commit discard workspace doctor profile trash app grants grant revoke help" -f -a "run" -d 'Run a program in a sandbox'
complete -c swathe -n "__fish_swathe_using_subcommand help; and not __fish_seen_subcommand_from run shell learn explain why check ps net kill enter session diff commit discard workspace doctor profile trash app grants grant revoke help" -f -a "shell" -d 'Run your shell in a sandbox'
complete -c swathe -n "__fish_swathe_using_subcommand help; and not __fish_seen_subcommand_from run shell learn explain why check ps net kill enter session diff commit discard workspace doctor profile trash app grants grant revoke help" -f -a "learn" -d 'Watch a program, and write a profile of what it needs'
complete -c swathe -n "__fish_swathe_using_subcommand help; and not __fish_seen_subcommand_from run shell learn explain why check ps net kill enter session diff commit discard workspace doctor profile trash app grants grant revoke help" -f -a "explain" -d 'Say what a sandbox would see, and what enforces it; runs nothing'
complete -c swathe -n "__fish_swathe_using_subcommand help; and not __fish_seen_subcommand_from run shell learn explain why check ps net kill enter session diff commit discard workspace doctor profile trash app grants grant revoke help" -f -a "why" -d 'Say what a run was denied, by whom, and what would allow it'
complete -c swathe -n "__fish_swathe_using_subcommand help; and not __fish_seen_subcommand_from run shell learn explain why check ps net kill enter session diff commit discard workspace doctor profile trash app grants grant revoke help" -f -a "check" -d 'Prove it: probe a sandbox from inside, and the same without one'
complete -c swathe -n "__fish_swathe_using_subcommand help; and not __fish_seen_subcommand_from run shell learn explain why check ps net kill enter session diff commit discard workspace doctor profile trash app grants grant revoke help" -f -a "ps" -d 'List running sandboxes'
complete -c swathe -n "__fish_swathe_using_subcommand help; and not __fish_seen_subcommand_from run shell learn explain why check ps net kill enter session diff commit discard workspace doctor profile trash app grants grant revoke help" -f -a "net" -d 'Show the network of a running sandbox: hosts, bytes, decisions'
complete -c swathe -n "__fish_swathe_using_subcommand help; and not __fish_seen_subcommand_from run shell learn explain why check ps net kill enter session diff commit discard workspace doctor profile trash app grants grant revoke help" -f -a "kill" -d 'End a running sandbox'
complete -c swathe -n "__fish_swathe_using_subcommand help; and not __fish_seen_subcommand_from run shell learn explain why check ps net kill enter session diff commit discard workspace doctor profile trash app grants grant revoke help" -f -a "enter" -d 'Run a program, or a shell, in a sandbox that runs already'
complete -c swathe -n "__fish_swathe_using_subcommand help; and not __fish_seen_subcommand_from run shell learn explain why check ps net kill enter session diff commit discard workspace doctor profile trash app grants grant revoke help" -f -a "session" -d 'Sandboxes that stay'
complete -c swathe -n "__fish_swathe_using_subcommand help; and not __fish_seen_subcommand_from run shell learn explain why check ps net kill enter session diff commit discard workspace doctor profile trash app grants grant revoke help" -f -a "diff" -d 'Show what a workspace changes, the most dangerous first'
complete -c swathe -n "__fish_swathe_using_subcommand help; and not __fish_seen_subcommand_from run shell learn explain why check ps net kill enter session diff commit discard workspace doctor profile trash app grants grant revoke help" -f -a "commit" -d 'Bring changes of a workspace to the host, or take the last commit back'
complete -c swathe -n "__fish_swathe_using_subcommand help; and not __fish_seen_subcommand_from run shell learn explain why check ps net kill enter session diff commit discard workspace doctor profile trash app grants grant revoke help" -f -a "discard" -d 'Give changes of a workspace up'
complete -c swathe -n "__fish_swathe_using_subcommand help; and not __fish_seen_subcommand_from run shell learn explain why check ps net kill enter session diff commit discard workspace doctor profile trash app grants grant revoke help" -f -a "workspace" -d 'Workspaces: what runs with --cow changed'
complete -c swathe -n "__fish_swathe_using_subcommand help; and not __fish_seen_subcommand_from run shell learn explain why check ps net kill enter session diff commit discard workspace doctor profile trash app grants grant revoke help" -f -a "doctor" -d 'Say whether this machine can sandbox, and how to fix what forbids it'
complete -c swathe -n "__fish_swathe_using_subcommand help; and not __fish_seen_subcommand_from run shell learn explain why check ps net kill enter session diff commit discard workspace doctor profile trash app grants grant revoke help" -f -a "profile" -d 'Check profiles and manifests'
complete -c swathe -n "__fish_swathe_using_subcommand help; and not __fish_seen_subcommand_from run shell learn explain why check ps net kill enter session diff commit discard workspace doctor profile trash app grants grant revoke help" -f -a "trash" -d 'What programs removed that ran with access `trash`'
complete -c swathe -n "__fish_swathe_using_subcommand help; and not __fish_seen_subcommand_from run shell learn explain why check ps net kill enter session diff commit discard workspace doctor profile trash app grants grant revoke help" -f -a "app" -d 'Apps: what they ask for, and what you allow'
complete -c swathe -n "__fish_swathe_using_subcommand help; and not __fish_seen_subcommand_from run shell learn explain why check ps net kill enter session diff commit discard workspace doctor profile trash app grants grant revoke help" -f -a "grants" -d 'Decisions that were made when runs asked, to hold from then on'
complete -c swathe -n "__fish_swathe_using_subcommand help; and not __fish_seen_subcommand_from run shell learn explain why check ps net kill enter session diff commit discard workspace doctor profile trash app grants grant revoke help" -f -a "grant" -d 'Allow a running sandbox one thing more'
complete -c swathe -n "__fish_swathe_using_subcommand help; and not __fish_seen_subcommand_from run shell learn explain why check ps net kill enter session diff commit discard workspace doctor profile trash app grants grant revoke help" -f -a "revoke" -d 'Take from a running sandbox what it was allowed'
complete -c swathe -n "__fish_swathe_using_subcommand help; and not __fish_seen_subcommand_from run shell learn explain why check ps net kill enter session diff commit discard workspace doctor profile trash app grants grant revoke help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c swathe -n "__fish_swathe_using_subcommand help; and __fish_seen_subcommand_from session" -f -a "start" -d 'Start a sandbox that stays until it is stopped'
complete -c swathe -n "__fish_swathe_using_subcommand help; and __fish_seen_subcommand_from session" -f -a "stop" -d 'End sessions and everything that runs in them'
complete -c swathe -n "__fish_swathe_using_subcommand help; and __fish_seen_subcommand_from workspace" -f -a "list" -d 'List workspaces'
complete -c swathe -n "__fish_swathe_using_subcommand help; and __fish_seen_subcommand_from workspace" -f -a "show" -d 'Say what a workspace holds, where it lies, and what of it to look at first'
complete -c swathe -n "__fish_swathe_using_subcommand help; and __fish_seen_subcommand_from workspace" -f -a "rm" -d 'Remove workspaces with all changes in them, and what was saved to undo commits'
complete -c swathe -n "__fish_swathe_using_subcommand help; and __fish_seen_subcommand_from workspace" -f -a "gc" -d 'Remove what nobody needs: empty workspaces of runs that have ended, old copies for undo, leftovers'
complete -c swathe -n "__fish_swathe_using_subcommand help; and __fish_seen_subcommand_from profile" -f -a "check" -d 'Say what is wrong with a profile or manifest'
complete -c swathe -n "__fish_swathe_using_subcommand help; and __fish_seen_subcommand_from profile" -f -a "schema" -d 'Print the JSON schema of profiles'
complete -c swathe -n "__fish_swathe_using_subcommand help; and __fish_seen_subcommand_from trash" -f -a "list" -d 'List what is in the trash, the newest first'
complete -c swathe -n "__fish_swathe_using_subcommand help; and __fish_seen_subcommand_from trash" -f -a "restore" -d 'Put things back where they were'
complete -c swathe -n "__fish_swathe_using_subcommand help; and __fish_seen_subcommand_from trash" -f -a "empty" -d 'Destroy what is in the trash'
complete -c swathe -n "__fish_swathe_using_subcommand help; and __fish_seen_subcommand_from trash" -f -a "limits" -d 'Show or set how much each trash may hold'
complete -c swathe -n "__fish_swathe_using_subcommand help; and __fish_seen_subcommand_from app" -f -a "add" -d 'Add an app by its manifest; nothing is granted by that'
complete -c swathe -n "__fish_swathe_using_subcommand help; and __fish_seen_subcommand_from app" -f -a "list" -d 'List apps'
complete -c swathe -n "__fish_swathe_using_subcommand help; and __fish_seen_subcommand_from app" -f -a "show" -d 'Show what an app asks for, what was granted, and what it used'
complete -c swathe -n "__fish_swathe_using_subcommand help; and __fish_seen_subcommand_from app" -f -a "grant" -d 'Allow what an app asks for; asks what was not decided where no intent is named'
complete -c swathe -n "__fish_swathe_using_subcommand help; and __fish_seen_subcommand_from app" -f -a "revoke" -d 'Refuse what an app asks for, also what was granted before'
complete -c swathe -n "__fish_swathe_using_subcommand help; and __fish_seen_subcommand_from app" -f -a "forget" -d 'Forget decisions about an app, so that they are asked again; or the whole app'
complete -c swathe -n "__fish_swathe_using_subcommand help; and __fish_seen_subcommand_from grants" -f -a "forget" -d 'Forget decisions, so that they are asked again'
