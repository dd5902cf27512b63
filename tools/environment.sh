#!/bin/sh
# Make .venv, or bring it up to date; where it is up to date, do nothing.
#
#   sh tools/environment.sh                      with the newest Python found
#   PYTHON=python3.12 sh tools/environment.sh    with this one
#   TORCH_INDEX_URL=… sh tools/environment.sh    torch, and nothing else, from this index
#
# A shell script, because a Python that is missing or of the wrong age must be reported before any
# Python of ours runs. In .venv, .ours says that make made it, and .stamp, written last, where and
# from what: an environment whose making was interrupted has no .stamp, and is made anew.

fail() {
    printf '\n%s\n' "$1" >&2
    exit 1
}
version() { "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null; }
pip() { .venv/bin/python -m pip install $quiet --disable-pip-version-check --no-input "$@"; }

cd "$(dirname "$0")/.." || exit 1
stamp="$(pwd) $(cat requirements.txt constraints.txt pyproject.toml | cksum)"
old=$(cat .venv/.stamp 2>/dev/null)
[ -t 1 ] && quiet="" || quiet=--quiet

if [ -e .venv ] && [ ! -e .venv/.ours ]; then
    fail "There is a .venv here that make did not make: move it away, then run make again."
fi
case $old in
"$(pwd) "*) made_with=$(version .venv/bin/python) ;; # elsewhere its scripts name another folder
esac
if [ -n "$PYTHON" ] && [ "$(version "$PYTHON")" != "$made_with" ]; then made_with=""; fi
if [ -n "$made_with" ] && [ "$old" = "$stamp" ]; then exit 0; fi

if [ -z "$made_with" ]; then
    if [ -n "$PYTHON" ]; then
        set -- "$PYTHON"
    else
        set -- python3.14 python3.13 python3.12 python3.11 python3
    fi
    for python in "$@"; do
        case $(version "$python") in
        "") ;;
        3.11 | 3.12 | 3.13 | 3.14)
            "$python" -c 'import ensurepip, venv' 2>/dev/null && made_with=$python && break
            found="$found; $python has no venv module (on Debian: apt install python3-venv)"
            ;;
        *) found="$found; $python is $(version "$python")" ;;
        esac
    done
    [ -n "$made_with" ] || fail "No Python to work with: the book needs Python 3.11 to 3.14 with \
its venv module${found:-; ${PYTHON:-python3} was not found}. Install one, or name one: \
PYTHON=/path/to/python3.13 make book"
    echo "Making .venv with $made_with: about 2 GB, or 8 GB where torch brings CUDA; some minutes"
    rm -rf .venv && old=""
    mkdir .venv && : >.venv/.ours && "$made_with" -m venv .venv ||
        fail "Could not make .venv in $(pwd) (the reason is above)."
else
    echo "Bringing .venv up to date"
    rm .venv/.stamp
fi

if { [ -z "$TORCH_INDEX_URL" ] ||
    pip --no-deps --index-url "$TORCH_INDEX_URL" "$(grep '^torch==' requirements.txt)"; } &&
    pip -r requirements.txt; then
    echo "$stamp" >.venv/.stamp
elif [ -n "$old" ]; then
    echo "$old" >.venv/.stamp
    fail "pip could not bring .venv up to date (its message is above): if the disk is full, free \
some space; if not, check the network; then run make again."
else
    rm -rf .venv
    fail "pip could not install what the book needs (its message is above), and .venv was removed. \
If the disk is full, free 2 GB, or 8 GB with CUDA; if not, check the network; then run make again."
fi
