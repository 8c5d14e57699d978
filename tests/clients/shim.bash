# The rest of the recording bwrap that lib.sh writes: REAL, CALLS and MUTANT are set above.
# It writes its words, shell-quoted, as one line into a file of its own below CALLS, with
# those of an `--args` file in braces, and becomes the real bwrap in the same process.
words=("$@")
line=
for ((i = 0; i < ${#words[@]}; i++)); do
    printf -v word %q "${words[i]}"
    line="$line $word"
    if [ "${words[i]}" = --args ] && [ -e "/proc/self/fd/${words[i + 1]-}" ]; then
        # Opened anew, so that the position of the caller's descriptor does not move.
        # A pipe cannot be read twice: its words stay unknown.
        if [ -f "/proc/self/fd/${words[i + 1]}" ]; then
            mapfile -d '' -t more <"/proc/self/fd/${words[i + 1]}"
            printf -v quoted '%q ' "${more[@]}"
            line="$line ${words[++i]} { $quoted}"
        fi
    fi
    [ "${words[i]}" = -- ] && break
done
{ printf '%s ...\n' "${line# }${words[*]:i+1:12}" >"$CALLS/call.$EPOCHREALTIME.$$"; } 2>/dev/null

[ -z "$MUTANT" ] && exec -a bwrap "$REAL" "$@"

# Spoil the call: `--x=N` drops --x and N arguments, `--x>--y` renames it. Words of an
# `--args` file are put in line first.
spoiled=()
spoil() {
    local option=${MUTANT%%[=>]*} word
    while [ $# -gt 0 ]; do
        word=$1
        shift
        if [ "$word" = --args ]; then
            local -a inner
            mapfile -d '' -t inner <"/proc/self/fd/$1"
            shift
            spoil "${inner[@]}"
        elif [ "$word" != "$option" ]; then
            spoiled+=("$word")
            [ "$word" = -- ] && spoiled+=("$@") && return
        elif [ "${MUTANT#*>}" != "$MUTANT" ]; then
            spoiled+=("${MUTANT#*>}")
        else
            shift "${MUTANT#*=}"
        fi
    done
}
spoil "$@"
exec -a bwrap "$REAL" "${spoiled[@]}"
