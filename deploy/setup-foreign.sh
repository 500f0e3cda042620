#!/usr/bin/env bash
# Puts what Python needs to speak with a coordinator into .deps/python, a virtual environment, once. A test runs a worker and a
# client in it that know the protos alone (coordinator/tests/foreign/). Every package is checked by SHA-256.
set -euo pipefail

top=$(cd "$(dirname "$0")/.." && pwd)
home=$top/.deps/python
wanted=$top/coordinator/tests/foreign/requirements.txt

say() { printf 'python: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }

if cmp -s "$wanted" "$home/INSTALLED" && "$home/bin/python" -c 'import grpc, grpc_tools' 2>/dev/null; then
    say "gRPC is in place in .deps/python"
    exit 0
fi
command -v python3 >/dev/null || fail "python3 is needed"
say "fetching gRPC into .deps/python from the Python package index"
rm -rf "$home"
mkdir -p "$top/.deps"
python3 -m venv "$home" || fail "python3 cannot make a virtual environment; install it (Debian: apt-get install python3-venv)"
"$home/bin/pip" install --quiet --disable-pip-version-check --require-hashes --only-binary :all: --requirement "$wanted" >&2
"$home/bin/python" -c 'import grpc, grpc_tools' || fail "what was fetched does not load; see the line above"
# Last, so that an interruption leaves nothing that counts as whole.
cp "$wanted" "$home/INSTALLED"
say "gRPC is installed in .deps/python"
