#!/bin/sh
# Says in one line what this machine lacks before anything is set up: Python 3.11 and Java 17.
# Usage: tools/check_machine.sh [PYTHON]
set -u

install_hint() {
    # $1: Debian's package, $2: Fedora's, $3: Homebrew's formula
    if command -v apt-get >/dev/null 2>&1; then echo "sudo apt-get install $1"
    elif command -v dnf >/dev/null 2>&1; then echo "sudo dnf install $2"
    elif command -v brew >/dev/null 2>&1; then echo "brew install $3"
    else echo "install $3"
    fi
}

python=${1:-python3.11}
if ! version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null); then
    echo "verger: Python 3.11 was not found ($python): $(install_hint 'python3.11 python3.11-venv' python3.11 python@3.11)" >&2
    exit 1
fi
if [ "$version" != 3.11 ]; then
    echo "verger: $python is Python $version, Verger needs 3.11 (make PYTHON=/path/to/python3.11 ...): $(install_hint 'python3.11 python3.11-venv' python3.11 python@3.11)" >&2
    exit 1
fi
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    echo "verger: $python has no venv module: $(install_hint python3.11-venv python3.11 python@3.11)" >&2
    exit 1
fi

java=java
[ -z "${JAVA_HOME:-}" ] || java=$JAVA_HOME/bin/java
hint=$(install_hint openjdk-17-jre-headless java-17-openjdk-headless openjdk@17)
# `java -version` prints: openjdk version "17.0.15" 2025-04-15 (and "1.8.0_392" before Java 9)
if ! banner=$("$java" -version 2>&1); then
    echo "verger: Java 17 was not found ($java): $hint" >&2
    exit 1
fi
major=$(printf '%s\n' "$banner" | sed -n 's/.*version "\(1\.\)\{0,1\}\([0-9]*\).*/\2/p' | head -n 1)
if [ "${major:-0}" -lt 17 ]; then
    echo "verger: $java is Java ${major:-of an unknown version}, Spark 4.1 needs 17 or newer: $hint" >&2
    exit 1
fi
