#!/usr/bin/env bash
# Puts the peers of the coordinator's benchmark into .deps/peers, a virtual environment. Prints the Python to use.
set -euo pipefail

optuna=5.0.0
ray=2.60.0
hyperqueue=0.27.0
top=$(cd "$(dirname "$0")/.." && pwd)
home=$top/.deps/peers

has() {
    [ -x "$home/bin/python" ] && "$home/bin/python" -c "
import ray.tune, sys
from importlib.metadata import version
sys.exit((version('optuna'), version('ray'), version('hyperqueue')) != ('$optuna', '$ray', '$hyperqueue'))" 2>/dev/null
}

if ! has; then
    command -v python3 >/dev/null || { echo "peers: python3 is needed" >&2; exit 1; }
    echo "peers: installing Optuna $optuna, Ray Tune $ray and HyperQueue $hyperqueue into .deps/peers" >&2
    rm -rf "$home"
    mkdir -p "$top/.deps"
    python3 -m venv "$home" || {
        echo "peers: python3 cannot make a virtual environment; install it (Debian: apt-get install python3-venv)" >&2
        exit 1
    }
    "$home/bin/pip" install --quiet --disable-pip-version-check \
        "optuna==$optuna" "ray[tune]==$ray" "hyperqueue==$hyperqueue" >&2
    has || { echo "peers: what was installed is not what was asked for" >&2; exit 1; }
fi
echo "$home/bin/python"
