#!/usr/bin/env bash
# Puts PyTorch 2.11.0 into .deps/pytorch, a virtual environment: the peer of the benchmarks, and what writes test fixtures.
# Prints the Python to use. A python3 that has that version already is used as it is.
set -euo pipefail

version=2.11.0
top=$(cd "$(dirname "$0")/.." && pwd)
home=$top/.deps/pytorch

has() { "$1" -c "import torch, sys; sys.exit(torch.__version__.split('+')[0] != '$version')" 2>/dev/null; }

if [ -x "$home/bin/python" ] && has "$home/bin/python"; then
    echo "$home/bin/python"
    exit 0
fi
if command -v python3 >/dev/null && has python3; then
    command -v python3
    exit 0
fi
command -v python3 >/dev/null || { echo "pytorch: python3 is needed" >&2; exit 1; }
echo "pytorch: installing $version into .deps/pytorch (several GB)" >&2
rm -rf "$home"
mkdir -p "$top/.deps"
python3 -m venv "$home" || {
    echo "pytorch: python3 cannot make a virtual environment; install it (Debian: apt-get install python3-venv)" >&2
    exit 1
}
"$home/bin/pip" install --quiet --disable-pip-version-check "torch==$version" numpy setuptools >&2
has "$home/bin/python" || { echo "pytorch: what was installed is not $version" >&2; exit 1; }
echo "$home/bin/python"
