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
complete -c swathe -n "__fish_swathe_needs_command" -f -a "explain" -d 'Say what a sandbox would see, and what enforces it; runs nothing'
complete -c swathe -n "__fish_swathe_needs_command" -f -a "why" -d 'Say what a run was denied, by whom, and what would allow it'
complete -c swathe -n "__fish_swathe_needs_command" -f -a "check" -d 'Prove it: probe a sandbox from inside, and the same without one'
complete -c swathe -n "__fish_swathe_needs_command" -f -a "ps" -d 'List running sandboxes'
complete -c swathe -n "__fish_swathe_needs_command" -f -a "kill" -d 'End a running sandbox'
complete -c swathe -n "__fish_swathe_needs_command" -f -a "enter" -d 'Run a program, or a shell, in a sandbox that runs already'
complete -c swathe -n "__fish_swathe_needs_command" -f -a "session" -d 'Sandboxes that stay'
complete -c swathe -n "__fish_swathe_needs_command" -f -a "doctor" -d 'Say whether this machine can sandbox, and how to fix what forbids it'
complete -c swathe -n "__fish_swathe_needs_command" -f -a "profile" -d 'Check profiles and manifests'
complete -c swathe -n "__fish_swathe_needs_command" -f -a "trash" -d 'What programs removed that ran with access `trash`'
complete -c swathe -n "__fish_swathe_needs_command" -f -a "app" -d 'Apps: what they ask for, and what you allow'
complete -c swathe -n "__fish_swathe_needs_command" -f -a "grants" -d 'Decisions that were made when runs asked, to hold from then on'
complete -c swathe -n "__fish_swathe_needs_command" -f -a "grant" -d 'Allow a running sandbox one thing more'
complete -c swathe -n "__fish_swathe_needs_command" -f -a "revoke" -d 'Take from a running sandbox what it was allowed'
complete -c swathe -n "__fish_swathe_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c swathe -n "__fish_swathe_using_subcommand run" -s p -l profile -d 'Use a profile, by its name or, with a slash, its path; can be repeated' -r
complete -c swathe -n "__fish_swathe_using_subcommand run" -l app -d 'Run an app that swathe app add knows: what its manifest declares and you granted' -r
complete -c swathe -n "__fish_swathe_using_subcommand run" -s a -l allow -d 'Allow one thing more, such as files.dir=~/data:rw, net.all, gpu, env=NAME' -r
complete -c swathe -n "__fish_swathe_using_subcommand run" -l unprotect -d 'Let a protected path be written to, by its name (such as git-hooks), or all' -r
complete -c swathe -n "__fish_swathe_using_subcommand run" -l allow-degraded -d 'Run although this layer cannot be enforced here: landlock, namespaces' -r
complete -c swathe -n "__fish_swathe_using_subcommand run" -l audit -d 'Append every decision about the program to this file, as lines of JSON' -r
complete -c swathe -n "__fish_swathe_using_subcommand run" -l session -d 'Run it in this session instead of a sandbox of its own' -r
complete -c swathe -n "__fish_swathe_using_subcommand run" -s w -l write -d 'Make the current directory writable'
complete -c swathe -n "__fish_swathe_using_subcommand run" -l record -d 'Watch what the program touches, for swathe why'
complete -c swathe -n "__fish_swathe_using_subcommand run" -l no-pty -d 'Use the caller\'s terminal as plain standard streams, without one of its own'
complete -c swathe -n "__fish_swathe_using_subcommand run" -s h -l help -d 'Print help'
complete -c swathe -n "__fish_swathe_using_subcommand shell" -s p -l profile -d 'Use a profile, by its name or, with a slash, its path; can be repeated' -r
complete -c swathe -n "__fish_swathe_using_subcommand shell" -l app -d 'Run an app that swathe app add knows: what its manifest declares and you granted' -r
complete -c swathe -n "__fish_swathe_using_subcommand shell" -s a -l allow -d 'Allow one thing more, such as files.dir=~/data:rw, net.all, gpu, env=NAME' -r
complete -c swathe -n "__fish_swathe_using_subcommand shell" -l unprotect -d 'Let a protected path be written to, by its name (such as git-hooks), or all' -r
complete -c swathe -n "__fish_swathe_using_subcommand shell" -l allow-degraded -d 'Run although this layer cannot be enforced here: landlock, namespaces' -r
complete -c swathe -n "__fish_swathe_using_subcommand shell" -l audit -d 'Append every decision about the program to this file, as lines of JSON' -r
complete -c swathe -n "__fish_swathe_using_subcommand shell" -s w -l write -d 'Make the current directory writable'
complete -c swathe -n "__fish_swathe_using_subcommand shell" -l record -d 'Watch what the program touches, for swathe why'
complete -c swathe -n "__fish_swathe_using_subcommand shell" -l no-pty -d 'Use the caller\'s terminal as plain standard streams, without one of its own'
complete -c swathe -n "__fish_swathe_using_subcommand shell" -s h -l help -d 'Print help'
complete -c swathe -n "__fish_swathe_using_subcommand explain" -s p -l profile -d 'Use a profile, by its name or, with a slash, its path; can be repeated' -r
complete -c swathe -n "__fish_swathe_using_subcommand explain" -l app -d 'Run an app that swathe app add knows: what its manifest declares and you granted' -r
complete -c swathe -n "__fish_swathe_using_subcommand explain" -s a -l allow -d 'Allow one thing more, such as files.dir=~/data:rw, net.all, gpu, env=NAME' -r
complete -c swathe -n "__fish_swathe_using_subcommand explain" -l unprotect -d 'Let a protected path be written to, by its name (such as git-hooks), or all' -r
complete -c swathe -n "__fish_swathe_using_subcommand explain" -l allow-degraded -d 'Run although this layer cannot be enforced here: landlock, namespaces' -r
complete -c swathe -n "__fish_swathe_using_subcommand explain" -l audit -d 'Append every decision about the program to this file, as lines of JSON' -r
complete -c swathe -n "__fish_swathe_using_subcommand explain" -l format -d 'How it is shown' -r -f -a "tree\t'For people'
bwrap\t'The words of a bwrap command'
json\t'For programs'"
complete -c swathe -n "__fish_swathe_using_subcommand explain" -s w -l write -d 'Make the current directory writable'
complete -c swathe -n "__fish_swathe_using_subcommand explain" -l record -d 'Watch what the program touches, for swathe why'
complete -c swathe -n "__fish_swathe_using_subcommand explain" -l no-pty -d 'Use the caller\'s terminal as plain standard streams, without one of its own'
complete -c swathe -n "__fish_swathe_using_subcommand explain" -l json -d 'The same as --format json'
complete -c swathe -n "__fish_swathe_using_subcommand explain" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c swathe -n "__fish_swathe_using_subcommand why" -l all -d 'Show also what programs usually do without'
complete -c swathe -n "__fish_swathe_using_subcommand why" -l list -d 'List the runs that are kept'
complete -c swathe -n "__fish_swathe_using_subcommand why" -l json -d 'Print JSON'
complete -c swathe -n "__fish_swathe_using_subcommand why" -s h -l help -d 'Print help'
complete -c swathe -n "__fish_swathe_using_subcommand check" -s p -l profile -d 'Use a profile, by its name or, with a slash, its path; can be repeated' -r
complete -c swathe -n "__fish_swathe_using_subcommand check" -l app -d 'Run an app that swathe app add knows: what its manifest declares and you granted' -r
complete -c swathe -n "__fish_swathe_using_subcommand check" -s a -l allow -d 'Allow one thing more, such as files.dir=~/data:rw, net.all, gpu, env=NAME' -r
complete -c swathe -n "__fish_swathe_using_subcommand check" -l unprotect -d 'Let a protected path be written to, by its name (such as git-hooks), or all' -r
complete -c swathe -n "__fish_swathe_using_subcommand check" -l allow-degraded -d 'Run although this layer cannot be enforced here: landlock, namespaces' -r
complete -c swathe -n "__fish_swathe_using_subcommand check" -l audit -d 'Append every decision about the program to this file, as lines of JSON' -r
complete -c swathe -n "__fish_swathe_using_subcommand check" -s w -l write -d 'Make the current directory writable'
complete -c swathe -n "__fish_swathe_using_subcommand check" -l record -d 'Watch what the program touches, for swathe why'
complete -c swathe -n "__fish_swathe_using_subcommand check" -l no-pty -d 'Use the caller\'s terminal as plain standard streams, without one of its own'
complete -c swathe -n "__fish_swathe_using_subcommand check" -l json -d 'Print JSON'
complete -c swathe -n "__fish_swathe_using_subcommand check" -s v -l verbose -d 'Say what each probe tried and found'
complete -c swathe -n "__fish_swathe_using_subcommand check" -s h -l help -d 'Print help'
complete -c swathe -n "__fish_swathe_using_subcommand ps" -l json -d 'Print JSON'
complete -c swathe -n "__fish_swathe_using_subcommand ps" -s h -l help -d 'Print help'
complete -c swathe -n "__fish_swathe_using_subcommand kill" -l now -d 'End it at once instead of asking its program to end first'
complete -c swathe -n "__fish_swathe_using_subcommand kill" -s h -l help -d 'Print help'
complete -c swathe -n "__fish_swathe_using_subcommand enter" -s h -l help -d 'Print help'
complete -c swathe -n "__fish_swathe_using_subcommand session; and not __fish_seen_subcommand_from start stop help" -s h -l help -d 'Print help'
complete -c swathe -n "__fish_swathe_using_subcommand session; and not __fish_seen_subcommand_from start stop help" -f -a "start" -d 'Start a sandbox that stays until it is stopped'
complete -c swathe -n "__fish_swathe_using_subcommand session; and not __fish_seen_subcommand_from start stop help" -f -a "stop" -d 'End sessions and everything that runs in them'
complete -c swathe -n "__fish_swathe_using_subcommand session; and not __fish_seen_subcommand_from start stop help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c swathe -n "__fish_swathe_using_subcommand session; and __fish_seen_subcommand_from start" -s p -l profile -d 'Use a profile, by its name or, with a slash, its path; can be repeated' -r
complete -c swathe -n "__fish_swathe_using_subcommand session; and __fish_seen_subcommand_from start" -l app -d 'Run an app that swathe app add knows: what its manifest declares and you granted' -r
complete -c swathe -n "__fish_swathe_using_subcommand session; and __fish_seen_subcommand_from start" -s a -l allow -d 'Allow one thing more, such as files.dir=~/data:rw, net.all, gpu, env=NAME' -r
complete -c swathe -n "__fish_swathe_using_subcommand session; and __fish_seen_subcommand_from start" -l unprotect -d 'Let a protected path be written to, by its name (such as git-hooks), or all' -r
complete -c swathe -n "__fish_swathe_using_subcommand session; and __fish_seen_subcommand_from start" -l allow-degraded -d 'Run although this layer cannot be enforced here: landlock, namespaces' -r
complete -c swathe -n "__fish_swathe_using_subcommand session; and __fish_seen_subcommand_from start" -l audit -d 'Append every decision about the program to this file, as lines of JSON' -r
complete -c swathe -n "__fish_swathe_using_subcommand session; and __fish_seen_subcommand_from start" -s w -l write -d 'Make the current directory writable'
complete -c swathe -n "__fish_swathe_using_subcommand session; and __fish_seen_subcommand_from start" -l record -d 'Watch what the program touches, for swathe why'
complete -c swathe -n "__fish_swathe_using_subcommand session; and __fish_seen_subcommand_from start" -l no-pty -d 'Use the caller\'s terminal as plain standard streams, without one of its own'
complete -c swathe -n "__fish_swathe_using_subcommand session; and __fish_seen_subcommand_from start" -s h -l help -d 'Print help'
complete -c swathe -n "__fish_swathe_using_subcommand session; and __fish_seen_subcommand_from stop" -s h -l help -d 'Print help'
complete -c swathe -n "__fish_swathe_using_subcommand session; and __fish_seen_subcommand_from help" -f -a "start" -d 'Start a sandbox that stays until it is stopped'
complete -c swathe -n "__fish_swathe_using_subcommand session; and __fish_seen_subcommand_from help" -f -a "stop" -d 'End sessions and everything that runs in them'
complete -c swathe -n "__fish_swathe_using_subcommand session; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
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
complete -c swathe -n "__fish_swathe_using_subcommand help; and not __fish_seen_subcommand_from run shell explain why check ps kill enter session doctor profile trash app grants grant revoke help" -f -a "run" -d 'Run a program in a sandbox'
complete -c swathe -n "__fish_swathe_using_subcommand help; and not __fish_seen_subcommand_from run shell explain why check ps kill enter session doctor profile trash app grants grant revoke help" -f -a "shell" -d 'Run your shell in a sandbox'
complete -c swathe -n "__fish_swathe_using_subcommand help; and not __fish_seen_subcommand_from run shell explain why check ps kill enter session doctor profile trash app grants grant revoke help" -f -a "explain" -d 'Say what a sandbox would see, and what enforces it; runs nothing'
complete -c swathe -n "__fish_swathe_using_subcommand help; and not __fish_seen_subcommand_from run shell explain why check ps kill enter session doctor profile trash app grants grant revoke help" -f -a "why" -d 'Say what a run was denied, by whom, and what would allow it'
complete -c swathe -n "__fish_swathe_using_subcommand help; and not __fish_seen_subcommand_from run shell explain why check ps kill enter session doctor profile trash app grants grant revoke help" -f -a "check" -d 'Prove it: probe a sandbox from inside, and the same without one'
complete -c swathe -n "__fish_swathe_using_subcommand help; and not __fish_seen_subcommand_from run shell explain why check ps kill enter session doctor profile trash app grants grant revoke help" -f -a "ps" -d 'List running sandboxes'
complete -c swathe -n "__fish_swathe_using_subcommand help; and not __fish_seen_subcommand_from run shell explain why check ps kill enter session doctor profile trash app grants grant revoke help" -f -a "kill" -d 'End a running sandbox'
complete -c swathe -n "__fish_swathe_using_subcommand help; and not __fish_seen_subcommand_from run shell explain why check ps kill enter session doctor profile trash app grants grant revoke help" -f -a "enter" -d 'Run a program, or a shell, in a sandbox that runs already'
complete -c swathe -n "__fish_swathe_using_subcommand help; and not __fish_seen_subcommand_from run shell explain why check ps kill enter session doctor profile trash app grants grant revoke help" -f -a "session" -d 'Sandboxes that stay'
complete -c swathe -n "__fish_swathe_using_subcommand help; and not __fish_seen_subcommand_from run shell explain why check ps kill enter session doctor profile trash app grants grant revoke help" -f -a "doctor" -d 'Say whether this machine can sandbox, and how to fix what forbids it'
complete -c swathe -n "__fish_swathe_using_subcommand help; and not __fish_seen_subcommand_from run shell explain why check ps kill enter session doctor profile trash app grants grant revoke help" -f -a "profile" -d 'Check profiles and manifests'
complete -c swathe -n "__fish_swathe_using_subcommand help; and not __fish_seen_subcommand_from run shell explain why check ps kill enter session doctor profile trash app grants grant revoke help" -f -a "trash" -d 'What programs removed that ran with access `trash`'
complete -c swathe -n "__fish_swathe_using_subcommand help; and not __fish_seen_subcommand_from run shell explain why check ps kill enter session doctor profile trash app grants grant revoke help" -f -a "app" -d 'Apps: what they ask for, and what you allow'
complete -c swathe -n "__fish_swathe_using_subcommand help; and not __fish_seen_subcommand_from run shell explain why check ps kill enter session doctor profile trash app grants grant revoke help" -f -a "grants" -d 'Decisions that were made when runs asked, to hold from then on'
complete -c swathe -n "__fish_swathe_using_subcommand help; and not __fish_seen_subcommand_from run shell explain why check ps kill enter session doctor profile trash app grants grant revoke help" -f -a "grant" -d 'Allow a running sandbox one thing more'
complete -c swathe -n "__fish_swathe_using_subcommand help; and not __fish_seen_subcommand_from run shell explain why check ps kill enter session doctor profile trash app grants grant revoke help" -f -a "revoke" -d 'Take from a running sandbox what it was allowed'
complete -c swathe -n "__fish_swathe_using_subcommand help; and not __fish_seen_subcommand_from run shell explain why check ps kill enter session doctor profile trash app grants grant revoke help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c swathe -n "__fish_swathe_using_subcommand help; and __fish_seen_subcommand_from session" -f -a "start" -d 'Start a sandbox that stays until it is stopped'
complete -c swathe -n "__fish_swathe_using_subcommand help; and __fish_seen_subcommand_from session" -f -a "stop" -d 'End sessions and everything that runs in them'
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
