#!/usr/bin/env bash
# Puts the peers of the coordinator's benchmark into .deps/peers, a virtual environment. Prints the Python to use.
set -euo pipefail

optuna=5.0.0
ray=2.60.0
top=$(cd "$(dirname "$0")/.." && pwd)
home=$top/.deps/peers

has() { "$1" -c "import optuna, ray.tune, sys; sys.exit(optuna.__version__ != '$optuna' or ray.__version__ != '$ray')" 2>/dev/null; }

if [ -x "$home/bin/python" ] && has "$home/bin/python"; then
    echo "$home/bin/python"
    exit 0
fi
command -v python3 >/dev/null || { echo "peers: python3 is needed" >&2; exit 1; }
echo "peers: installing Optuna $optuna and Ray Tune $ray into .deps/peers" >&2
rm -rf "$home"
mkdir -p "$top/.deps"
python3 -m venv "$home" || {
    echo "peers: python3 cannot make a virtual environment; install it (Debian: apt-get install python3-venv)" >&2
    exit 1
}
"$home/bin/pip" install --quiet --disable-pip-version-check "optuna==$optuna" "ray[tune]==$ray" >&2
has "$home/bin/python" || { echo "peers: what was installed is not Optuna $optuna and Ray $ray" >&2; exit 1; }
echo "$home/bin/python"
