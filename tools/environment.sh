#!/bin/sh
# Make .venv, or bring it up to date; where it is up to date, do nothing.
#
#   sh tools/environment.sh                      with the newest Python found
#   PYTHON=python3.12 sh tools/environment.sh    with this one
#
# It is a shell script because a missing or too old Python must be reported before any Python of
# ours runs. Two files tell what a .venv is: .unfinished stands in it while it is being made;
# .stamp, written last, says where it was made and from what. One that has neither is not ours.

needs="the book needs Python 3.11 or newer with its venv module"
room="about 2 GB, or 8 GB where torch brings CUDA"

fail() {
    printf '\n%s\n' "$1" >&2
    exit 1
}

start_over() { # an environment that was half-made must not stay
    trap '' INT TERM HUP
    rm -rf .venv
    fail "$1"
}

version() { # a Python's version, such as 3.12; fails if it does not run
    "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null
}

choose_python() { # sets python, or says what was found instead
    found=""
    if [ -n "$PYTHON" ]; then set -- "$PYTHON"; else set -- python3.13 python3.12 python3.11 python3; fi
    for python in "$@"; do
        if ! known=$(version "$python"); then
            continue
        elif ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
            found="$found; $python is $known"
        elif ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
            found="$found; $python has no venv module (on Debian: apt install python3-venv)"
        else
            return
        fi
    done
    fail "No Python to work with: $needs${found:-; ${PYTHON:-python3} was not found}. \
Install one, or name one: PYTHON=/path/to/python3.12 make book"
}

run() { # a step; its errors are kept, to be shown and judged if it fails
    errors=$("$@" 2>&1 >&3) && return
    printf '%s\n' "$errors" >&2
    case $errors in
    *"No space left"*)
        start_over "The disk is full, and .venv was removed: the environment needs $room. \
Free some space and run make again."
        ;;
    esac
    return 1
}

cd "$(dirname "$0")/.." || exit 1
exec 3>&1
place="made in $(pwd) from"
stamp="$place $(cksum requirements.txt constraints.txt pyproject.toml | tr '\n' ' ')"
old_stamp=$(cat .venv/.stamp 2>/dev/null)
[ -t 1 ] && quiet="" || quiet=--quiet

if [ -e .venv ] && [ ! -e .venv/.stamp ] && [ ! -e .venv/.unfinished ]; then
    fail "There is a .venv here that make did not make: move it away, then run make again."
fi
usable=no
case $old_stamp in
"$place "*)
    if there=$(version .venv/bin/python); then
        [ -n "$PYTHON" ] && [ "$(version "$PYTHON")" != "$there" ] || usable=yes
    fi
    ;;
esac
if [ $usable = yes ] && [ "$old_stamp" = "$stamp" ]; then
    exit 0
fi

if [ $usable = no ]; then
    choose_python
    trap 'start_over "Stopped, and the unfinished .venv was removed; run make again."' INT TERM HUP
    echo "Making .venv with $python ($known): $room, and some minutes"
    rm -rf .venv
    { mkdir .venv && : >.venv/.unfinished; } 2>/dev/null ||
        start_over "Cannot write in $(pwd): the disk is full or the folder is not yours."
    run "$python" -m venv .venv ||
        start_over "$python could not make a .venv; mend that, or name another: \
PYTHON=/path/to/python3.12 make book"
else
    echo "Bringing .venv up to date"
    trap 'start_over "Stopped, and the unfinished .venv was removed; run make again."' INT TERM HUP
    mv .venv/.stamp .venv/.unfinished || fail "Cannot write in $(pwd)/.venv; is it yours?"
fi

if ! run .venv/bin/python -m pip install $quiet --disable-pip-version-check --no-input \
    -r requirements.txt; then
    if [ $usable = yes ]; then
        mv .venv/.unfinished .venv/.stamp
        fail "pip could not bring .venv up to date (its message is above): \
check the network, then run make again."
    fi
    start_over "pip could not install what the book needs (its message is above), and .venv was \
removed: check the network, then run make again."
fi
printf '%s' "$stamp" >.venv/.stamp && rm .venv/.unfinished ||
    start_over "Could not finish .venv, and removed it: is the disk full? Then run make again."
