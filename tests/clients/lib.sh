# shellcheck shell=bash
# What every client test shares: needs, users, a recording `bwrap`, checks and cleaning up.
#
# A client test sets
#   PACKAGES   Debian packages it needs (installed by `--install`, as root)
#   PROGRAMS   programs that must be there (default: none beyond the packages)
#   AS_ROOT    `yes` when the client is also run as real root (default: no)
#   NPM        `package@version` words of the npm registry, installed into $CACHE
#   BWRAP_AT   where its path to bwrap is compiled in
#   BASE       where $T is made (default: /tmp)
#   OWN_TMP    `yes` when the client sees nothing in /tmp but $T and what it makes there;
#              BWRAP_AT must be set and BASE not
#   MUTANTS    ways to spoil a bwrap call that the test must notice, see below
# defines a function `client`, and ends with `client_test "$@"`.
#
# `client` runs in a directory of its own ($T), as an ordinary user (a made-up one when the
# test was started as root), with HOME, XDG_RUNTIME_DIR and TMPDIR below $T and with
# $BWRAP, also first on PATH, standing for the bwrap under test. $BWRAP records each call
# below $CALLS and then becomes the real one.
#
# SWATHE_TEST_BWRAP    the bwrap under test (absolute path); default: the release build
# SWATHE_TEST_MUTANT   spoils each call: `--x=N` drops the option and its N arguments,
#                      `--x>--y` puts another option in its place. A test that passes
#                      with one of its own MUTANTS does not look at what it says it does.
# SWATHE_TEST_CACHE    where npm packages are kept between runs (default: below /var/tmp)
# SWATHE_TEST_KEEP=1   leaves $T behind, for looking into a failure
#
# Exit: 0 passed, 1 failed, 2 called wrongly, 77 cannot run here (the reason is printed).

set -u
export LC_ALL=C.UTF-8

SELF=$(readlink -f "$0")
HERE=$(dirname "$SELF")
NAME=$(basename "$0")
PACKAGES=${PACKAGES-}
PROGRAMS=${PROGRAMS-}
NPM=${NPM-}
CACHE=${SWATHE_TEST_CACHE:-/var/tmp/swathe-clients-$(id -u)}/$NAME
AS_ROOT=${AS_ROOT-no}
FAILED=0

note() { printf '   %s\n' "$*"; }
skip() {
    printf 'SKIPPED %s: %s\n' "$NAME" "$*"
    exit 77
}
die() {
    printf 'FAILED  %s: %s\n' "$NAME" "$*"
    exit 1
}
fail() {
    printf 'FAILED  %s: %s\n' "$NAME" "$*"
    FAILED=1
}

# check TEXT COMMAND...: the command must succeed; its output is shown only if it does not.
check() {
    local text=$1 status=0
    shift
    "$@" >"$T/check.out" 2>&1 || status=$?
    if [ "$status" -eq 0 ]; then
        printf 'ok      %s\n' "$text"
    else
        fail "$text (exit $status)"
        sed 's/^/        | /' "$T/check.out" | head -n 40
    fi
}

# refuse TEXT COMMAND...: the command must start and then fail: 126, 127 and death by a
# signal do not count as a refusal.
refuse() {
    local text=$1 status=0
    shift
    "$@" >"$T/check.out" 2>&1 || status=$?
    if [ "$status" -gt 0 ] && [ "$status" -lt 126 ]; then
        printf 'ok      %s\n' "$text"
    else
        fail "$text (exit $status)"
        sed 's/^/        | /' "$T/check.out" | head -n 40
    fi
}

# same TEXT WANTED GOT
same() {
    if [ "$2" = "$3" ]; then
        printf 'ok      %s\n' "$1"
    else
        fail "$1: wanted $(printf %q "$2"), got $(printf %q "$3")"
    fi
}

# differ TEXT A B: two values that must both be there and not be equal.
differ() {
    if [ -n "$2" ] && [ -n "$3" ] && [ "$2" != "$3" ]; then
        printf 'ok      %s\n' "$1"
    else
        fail "$1: $(printf %q "$2") and $(printf %q "$3")"
    fi
}

# called TEXT REGEX: some recorded call of bwrap matches the extended regular expression.
# Each call is one line of shell-quoted words, those of an `--args` file in braces.
called() {
    if cat "$CALLS"/call.* 2>/dev/null | grep -Eq -e "$2"; then
        printf 'ok      %s\n' "$1"
    else
        fail "$1: no call of bwrap matches $2"
        cat "$CALLS"/call.* 2>/dev/null | cut -c1-600 | sed 's/^/        | /' | head -n 10
    fi
}

# until SECONDS COMMAND...: tries the command until it succeeds or the time is over.
until_true() {
    local end=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$end" ] || return 1
        sleep 0.1
    done
}

# copy_elf PROGRAM ROOT: copies a program with its libraries and loader to their own
# paths below ROOT, so that ROOT can serve as /.
copy_elf() {
    local file
    for file in "$1" $(ldd "$1" 2>/dev/null | grep -o '/[^ ]*'); do
        install -D "$file" "$2/$file"
    done
}

# --- needs -------------------------------------------------------------------------

missing_packages() {
    local package
    for package in $PACKAGES; do
        dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed ||
            printf '%s ' "$package"
    done
}

install_needs() {
    local missing
    missing=$(missing_packages)
    [ -z "$missing" ] && return 0
    [ "$(id -u)" -eq 0 ] || die "--install needs root, for: $missing"
    # shellcheck disable=SC2086  # package names are words
    DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 -qq install -y \
        --no-install-recommends $missing >"$T/apt.log" 2>&1 ||
        { tail -n 5 "$T/apt.log"; die "cannot install: $missing"; }
}

# Installs the npm packages, without their scripts, where any user can read them.
install_npm() {
    command -v npm >/dev/null || skip "needs the program npm to install $NPM"
    mkdir -p "$CACHE"
    # shellcheck disable=SC2086  # package names are words
    npm install --prefix "$CACHE" --ignore-scripts --no-audit --no-fund --no-save --fetch-retries=1 $NPM >"$T/npm.log" 2>&1 ||
        { tail -n 5 "$T/npm.log"; skip "npm cannot install $NPM"; }
    chmod -R a+rX "$CACHE"
}

check_needs() {
    local program missing='' package
    if command -v dpkg-query >/dev/null; then
        missing=$(missing_packages)
        [ -z "$missing" ] || skip "needs the packages: $missing(--install as root installs them)"
    fi
    for program in $PROGRAMS; do
        command -v "$program" >/dev/null || skip "needs the program $program"
    done
    for package in $NPM; do
        grep -qs "\"version\": \"${package##*@}\"" "$CACHE/node_modules/${package%@*}/package.json" ||
            skip "needs the npm package $package (--install installs it below $CACHE)"
    done
}

# The bwrap under test, as an absolute path.
find_bwrap() {
    local bwrap=${SWATHE_TEST_BWRAP-} target candidate
    if [ -z "$bwrap" ]; then
        target=${CARGO_TARGET_DIR:-$HERE/../../target}
        for candidate in "$target"/*-linux-musl/release/bwrap "$target"/release/bwrap; do
            [ -x "$candidate" ] && bwrap=$(readlink -f "$candidate") && break
        done
        [ -n "$bwrap" ] || {
            echo "$NAME: no release build of bwrap below $target; set SWATHE_TEST_BWRAP" >&2
            exit 2
        }
    fi
    case $bwrap in
        /*) ;;
        *) echo "$NAME: SWATHE_TEST_BWRAP must be an absolute path: $bwrap" >&2; exit 2 ;;
    esac
    [ -x "$bwrap" ] || { echo "$NAME: cannot run $bwrap" >&2; exit 2; }
    printf '%s\n' "$bwrap"
}

# --- the recording bwrap -----------------------------------------------------------

make_shim() {
    local real=$1 shim=$2
    {
        printf '#!/bin/bash\nREAL=%q\nCALLS=%q\nMUTANT=%q\n' "$real" "$CALLS" "${SWATHE_TEST_MUTANT-}"
        cat "$HERE/shim.bash"
    } >"$shim"
    chmod 755 "$shim"
}

# --- leaving nothing behind --------------------------------------------------------

# Processes that belong to this test: of its made-up user, or that name $T in their
# command line, environment, working directory or (in another namespace) mount table.
# This shell, its parents and its own children for looking are left out.
own_processes() {
    local pid dir mine pids=" " parent=$BASHPID
    while [ "$parent" -gt 1 ]; do
        pids="$pids$parent "
        parent=$(awk '/^PPid:/ { print $2 }' "/proc/$parent/status")
    done
    mine=$(readlink /proc/self/ns/mnt)
    for dir in /proc/[0-9]*; do
        pid=${dir#/proc/}
        case $pids in *" $pid "*) continue ;; esac
        if [ "${TEST_UID-}" ] && [ "$(stat -c %u "$dir" 2>/dev/null)" = "$TEST_UID" ]; then
            echo "$pid"
        elif grep -qsF -e "$T" "$dir/cmdline" "$dir/environ"; then
            [ "$(awk '/^PPid:/ { print $2 }' "$dir/status" 2>/dev/null)" = "$BASHPID" ] || echo "$pid"
        elif [ "$(readlink "$dir/ns/mnt" 2>/dev/null)" != "$mine" ] && grep -qsF -e "$T" "$dir/mountinfo"; then
            echo "$pid"
        fi
    done
}

no_processes() { [ -z "$(own_processes)" ]; }

clean_up() {
    local pid left
    trap - EXIT INT TERM
    if ! until_true 5 no_processes; then
        for pid in $(own_processes); do
            fail "left running: $pid $(tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | cut -c1-200)"
            kill -KILL "$pid" 2>/dev/null
        done
    fi
    if grep -qF -e "$T" /proc/self/mountinfo; then
        fail "left mounted: $(grep -oF -e "$T" /proc/self/mountinfo | sort -u | tr '\n' ' ')"
        grep -F -e "$T" /proc/self/mountinfo | awk '{ print $5 }' | tac | xargs -r -n1 umount -l
    fi
    if [ "$TEST_UID" ]; then
        while IFS= read -r left; do
            fail "left behind: $left"
            rm -rf --one-file-system "$left"
        done < <(find /tmp /var/tmp -maxdepth 1 -uid "$TEST_UID" ! -path "$T")
    fi
    if [ -n "${SWATHE_TEST_KEEP-}" ]; then
        note "kept $T"
    else
        chmod -R u+rwX "$T" 2>/dev/null
        rm -rf --one-file-system "$T" || fail "cannot remove $T"
    fi
}

# --- the whole test ----------------------------------------------------------------

# Runs `client` in this process, which already is the user it should be.
run_here() {
    T=$1 REAL_BWRAP=$2 CACHE=$SWATHE_CACHE
    CALLS=$T/calls
    # shellcheck disable=SC2034  # for the clients
    BWRAP=$T/bin/bwrap
    cd "$T" || exit 1
    client
    [ "$(find "$CALLS" -name 'call.*' | wc -l)" -gt 0 ] || fail "the client never called bwrap"
    exit "$FAILED"
}

# only_standard_fds COMMAND...: runs it without what this shell was given beyond stderr.
only_standard_fds() (
    for fd in /proc/self/fd/*; do
        fd=${fd##*/}
        [ "$fd" -gt 2 ] && [ "$fd" -ne 255 ] && eval "exec $fd>&-"
    done
    exec "$@"
)

# Sets $prepare to a command prefix that gives the test a mount namespace of its own, where
#  - the made-up user has an account in /etc/passwd, which a message bus wants;
#  - $BWRAP_AT, if the test sets it, is the recording bwrap: for clients with a path to
#    bwrap compiled in. An ordinary user needs a user namespace for that;
#  - /tmp is $T/tmp with $T in it, if the test sets OWN_TMP.
# Where root may not make one, tests without BWRAP_AT run all the same.
prepare_mounts() {
    if [ "$TEST_UID" ]; then
        { cat /etc/passwd; echo "swathe-client:x:$TEST_UID:$TEST_UID::$T/home:/bin/sh"; } >"$T/passwd"
        { cat /etc/group; echo "swathe-client:x:$TEST_UID:"; } >"$T/group"
    elif [ -z "${BWRAP_AT-}" ]; then
        return 0
    fi
    prepare="unshare --mount --propagation private"
    [ "$(id -u)" -eq 0 ] || prepare="unshare --user --map-current-user --keep-caps --mount"
    if ! $prepare true 2>/dev/null; then
        prepare=''
        [ -z "${BWRAP_AT-}" ] || skip "cannot put the recording bwrap at $BWRAP_AT: no mount namespace"
        return 0
    fi
    prepare="$prepare bash $HERE/mounts.bash $T ${BWRAP_AT--} ${OWN_TMP-no}"
}

# run_as WHO: prepares a fresh $T, runs `client` there as `user` or `root`, cleans up.
run_as() {
    local who=$1 status=0 change='' prepare=''
    T=$(mktemp -d "${BASE:-/tmp}/swc-$NAME.XXXXXX") || exit 1
    CALLS=$T/calls
    TEST_UID=
    trap 'clean_up; exit 1' EXIT INT TERM
    mkdir -m 700 "$T/run" "$T/home"
    mkdir "$T/bin" "$T/tmp" "$T/calls" "$T/tests"
    chmod 755 "$T"
    cp "$HERE"/* "$T/tests/" 2>/dev/null
    if [ "${OWN_TMP-}" = yes ] || { [ "${BWRAP_AT-}" ] && [ "$REAL_BWRAP" -ef "$BWRAP_AT" ]; }; then
        # The recording bwrap will lie over the real one, or a /tmp over it: it needs another name.
        cp "$REAL_BWRAP" "$T/bin/bwrap-under-test"
        make_shim "$T/bin/bwrap-under-test" "$T/bin/bwrap"
    else
        make_shim "$REAL_BWRAP" "$T/bin/bwrap"
    fi
    if [ "$who" = user ] && [ "$(id -u)" -eq 0 ]; then
        TEST_UID=$((100000 + $$ % 400000))
        chown -R "$TEST_UID:$TEST_UID" "$T"
        change="setpriv --reuid=$TEST_UID --regid=$TEST_UID --clear-groups --inh-caps=-all"
    fi
    prepare_mounts
    printf -- '-- %s as %s\n' "$NAME" "uid ${TEST_UID:-$(id -u)}"
    # shellcheck disable=SC2086  # a command and its options
    only_standard_fds env -i PATH="$T/bin:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin" HOME="$T/home" \
        XDG_RUNTIME_DIR="$T/run" TMPDIR="$T/tmp" LC_ALL=C.UTF-8 SWATHE_CACHE="$CACHE" \
        $prepare $change timeout --kill-after=10 "${SWATHE_TEST_TIMEOUT:-300}" \
        bash "$T/tests/$NAME" --here "$T" "$REAL_BWRAP" || status=$?
    FAILED=0
    case $status in
        0 | 1 | 77) ;;
        124) fail "took longer than ${SWATHE_TEST_TIMEOUT:-300} s" ;;
        *) fail "ended with exit status $status" ;;
    esac
    clean_up
    [ "$FAILED" -eq 0 ] || status=1
    return "$status"
}

client_test() {
    local status=0 result=0
    case ${1-} in
        --here) run_here "$2" "$3" ;;
        --mutants) [ "${#MUTANTS[@]}" -eq 0 ] || printf '%s\n' "${MUTANTS[@]}"; exit 0 ;;
        --install)
            T=$(mktemp -d) || exit 1
            trap 'rm -rf "$T"' EXIT
            install_needs
            [ -z "$NPM" ] || install_npm
            rm -rf "$T"
            trap - EXIT
            ;;
        '') ;;
        *) echo "usage: $NAME [--install | --mutants]" >&2; exit 2 ;;
    esac
    REAL_BWRAP=$(find_bwrap) || exit 2
    check_needs
    if declare -F client_needs >/dev/null; then client_needs; fi
    run_as user || result=$?
    if [ "$AS_ROOT" = yes ] && [ "$(id -u)" -ne 0 ]; then
        note "the half that runs as root is left out: not started as root"
    elif [ "$AS_ROOT" = yes ]; then
        run_as root || status=$?
        [ "$status" -eq 1 ] && result=1
    fi
    exit "$result"
}
