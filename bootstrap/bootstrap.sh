#!/bin/bash
# EMR bootstrap action: installs the pinned Python packages of the Spark jobs on a node.
#
#   bootstrap.sh --requirements s3://bucket/code/<digest>/requirements.txt --prefix /opt/verger
#                [--engine litert|keras] [--wheelhouse s3://bucket/wheels] [--end-after-minutes 375]
#
# The engine (litert by default) is what must be importable in the end: keras, with its TensorFlow, is much more to
# install and has requirements of its own.
# With --end-after-minutes the node switches itself off then, whatever it does: the last net under a forgotten cluster,
# which needs neither Airflow nor AWS's API. EMR ends a cluster whose primary node is gone.
# With a wheelhouse the packages come from that folder alone, so that the node needs no internet.
# Makes <prefix>/venv-<digest of the requirements> and points <prefix>/venv at it. Run again, or on an image that has
# the packages already, it finds that environment and is done. A half-made one is never pointed at.
set -euo pipefail

fail() { echo "bootstrap: error: $*" >&2; exit 1; }
say() { echo "bootstrap: $*"; }

requirements_uri='' prefix='' wheelhouse='' engine=litert end_after=''
while [ $# -gt 0 ]; do
    [ $# -ge 2 ] || fail "$1 has no value"
    case $1 in
        --requirements) requirements_uri=$2 ;;
        --prefix) prefix=$2 ;;
        --engine) engine=$2 ;;
        --end-after-minutes) end_after=$2 ;;
        --wheelhouse) wheelhouse=${2%/} ;;
        *) fail "unknown argument $1: there are --requirements, --prefix, --engine, --wheelhouse and --end-after-minutes" ;;
    esac
    shift 2
done
[ -n "$requirements_uri" ] || fail "--requirements is missing: the s3:// address of requirements.txt"
case $engine in
    litert) modules='ai_edge_litert.interpreter' ;;
    keras) modules='keras, tensorflow' ;;
    *) fail "--engine is '$engine': choose litert or keras" ;;
esac
[[ $prefix == /* ]] || fail "--prefix is '$prefix': it must be an absolute path"
[[ $end_after =~ ^([1-9][0-9]*)?$ ]] || fail "--end-after-minutes is '$end_after': it must be a whole number"

find_python() {
    local candidate
    for candidate in python3.11 python3; do
        if [ "$("$candidate" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)" = 3.11 ]; then
            command -v "$candidate"
            return
        fi
    done
    fail "Python 3.11 is not on this node (found: $(python3 --version 2>&1 || true)): use a release label that has it"
}

make_prefix() {
    # /opt belongs to root, and bootstrap actions run as hadoop.
    if ! mkdir -p "$prefix" 2>/dev/null || [ ! -w "$prefix" ]; then
        sudo install -d -o "$(id -un)" "$prefix" || fail "$prefix cannot be made: neither $(id -un) nor sudo may"
    fi
}

fetch() {
    case $1 in
        s3://*) aws s3 cp --only-show-errors "$1" "$2" || fail "$1 could not be read: may the instance profile read it?" ;;
        *) cp "$1" "$2" || fail "$1 could not be read" ;;
    esac
}

fetch_wheels() {
    mkdir "$2"
    case $1 in
        s3://*) aws s3 cp --recursive --only-show-errors "$1/" "$2" || fail "$1 could not be read: may the instance profile read it?" ;;
        *) cp "$1"/*.whl "$2" || fail "$1 could not be read" ;;
    esac
    compgen -G "$2/*.whl" >/dev/null || fail "$1 holds no wheel: fill it as docs/operations.md says"
}

if [ -n "$end_after" ]; then
    # First of all: a node on which the rest hangs ends as well. Never on a machine that is no node: it is somebody's.
    [ -e /mnt/var/lib/info/job-flow.json ] || [ -n "${LOCAL_EMR_NODE_PID:-}" ] \
        || fail "--end-after-minutes switches a machine off, and this one is no node of a cluster"
    sudo shutdown -h "+$end_after" || fail "the node's end in $end_after min could not be arranged: may $(id -un) use sudo?"
    say "this node ends in $end_after min, whatever it does"
fi
python=$(find_python)
make_prefix
work=$(mktemp -d "$prefix/.bootstrap.XXXXXX")
trap 'rm -rf "$work"' EXIT
fetch "$requirements_uri" "$work/requirements.txt"
digest=$(sha256sum "$work/requirements.txt" | cut -c 1-16)
environment=$prefix/venv-$digest

if [ -e "$environment/.complete" ]; then
    say "$environment is there already"
else
    started=$SECONDS
    rm -rf "$environment"
    from=()
    if [ -n "$wheelhouse" ]; then
        fetch_wheels "$wheelhouse" "$work/wheels"
        from=(--no-index --find-links "$work/wheels")
    fi
    "$python" -m venv "$environment" || fail "$python could not make $environment"
    "$environment/bin/python" -m pip install --quiet --no-input --disable-pip-version-check \
        "${from[@]}" --only-binary :all: --require-hashes --requirement "$work/requirements.txt" \
        || fail "pip could not install $requirements_uri: its own message stands above"
    touch "$environment/.complete"
    say "$environment made in $((SECONDS - started)) s"
fi

ln -sfn "$environment" "$work/venv"
mv -T "$work/venv" "$prefix/venv"
# What the jobs load shared libraries by: `import PIL` or `import ai_edge_litert` alone would load none, and succeed on a
# node whose C or C++ library is too old for them.
modules="$modules, deltalake, numpy, obstore.store, PIL.Image, PIL._imaging, PIL._webp, PIL._avif, PIL._imagingcms"
modules="$modules, pyarrow.compute, pyarrow.csv, pyarrow.parquet, simplejpeg"
if ! problem=$("$prefix/venv/bin/python" -c "import $modules" 2>&1); then
    echo "$problem" >&2
    fail "the packages cannot be imported: $(tail -n 1 <<<"$problem")"
fi
say "ready: $prefix/venv/bin/python"
