#!/usr/bin/env bash
# Puts libtorch 2.11.0 into .deps/libtorch, once, checked; a plain `cargo build` finds it there.
#   deploy/setup-libtorch.sh           what a CPU node needs
#   CUDA=1 deploy/setup-libtorch.sh    adds what a GPU node needs (several GB)
# A LIBTORCH or LIBTORCH_USE_PYTORCH that you have set wins: then nothing is installed.
set -euo pipefail

version=2.11.0
top=$(cd "$(dirname "$0")/.." && pwd)
home=$top/.deps/libtorch
kind=cpu
[ "${CUDA:-0}" = 1 ] && kind=cuda

say() { printf 'libtorch: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }

# Loading is the check that counts: a library that is present but lacks one of its own cannot be used.
loads() { # FOLDER of torch
    python3 - "$1/lib" <<'PY'
import ctypes, os, sys
for name in ("libc10.so", "libtorch_cpu.so"):
    try:
        ctypes.CDLL(os.path.join(sys.argv[1], name), mode=ctypes.RTLD_GLOBAL)
    except OSError as error:
        sys.exit(f"libtorch: {error}")
PY
}

if [ -n "${LIBTORCH_USE_PYTORCH:-}" ]; then
    found=$(python3 -c 'import torch; print(torch.__version__.split("+")[0])' 2>/dev/null) ||
        fail "LIBTORCH_USE_PYTORCH is set, but python3 cannot import torch; install torch==$version there or unset it"
    [ "$found" = "$version" ] ||
        fail "LIBTORCH_USE_PYTORCH is set, but that torch is $found; tch needs exactly $version"
    say "using the torch $found of python3 (LIBTORCH_USE_PYTORCH is set)"
    exit 0
fi
if [ -n "${LIBTORCH:-}" ] && [ "$LIBTORCH" != "$home/torch" ]; then
    [ -e "$LIBTORCH/lib/libtorch_cpu.so" ] || fail "LIBTORCH is $LIBTORCH, but $LIBTORCH/lib/libtorch_cpu.so is not there"
    say "using $LIBTORCH (LIBTORCH is set)"
    exit 0
fi

stamp=$home/INSTALLED
if [ -f "$stamp" ] && grep -qx "$version $kind" "$stamp" && loads "$home/torch"; then
    say "$version ($kind) is in place"
    exit 0
fi
command -v python3 >/dev/null || fail "python3 with pip is needed to fetch torch $version"
python3 -m pip --version >/dev/null 2>&1 || fail "python3 has no pip; install it (Debian: apt-get install python3-pip)"

# All is built beside the final place and moved there in one step, so that an interruption leaves nothing half-written.
mkdir -p "$top/.deps"
stage=$(mktemp -d "$top/.deps/libtorch.XXXXXX")
trap 'rm -rf "$stage"' EXIT
trap 'exit 130' INT TERM
say "fetching $version ($kind) from the Python package index"
install() { python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --no-compile --target "$stage" "$@"; }
if [ "$kind" = cuda ]; then
    install "torch==$version"
else
    # libtorch_cpu.so of this wheel names the CUDA runtime and CUPTI as libraries it needs, even without a GPU.
    install --no-deps "torch==$version" 'nvidia-cuda-runtime==13.0.*' 'nvidia-cuda-cupti==13.0.*'
    rm -f "$stage"/torch/lib/libtorch_cuda*.so
fi

# The loader looks for the CUDA libraries along torch's own rpath; links beside the library work wherever the folder moves.
find "$stage/nvidia" -name '*.so*' -type f 2>/dev/null | while read -r library; do
    ln -sf "../../${library#"$stage"/}" "$stage/torch/lib/$(basename "$library")"
done
loads "$stage/torch" || fail "what was fetched does not load; see the line above"
echo "$version $kind" >"$stage/INSTALLED"
chmod 755 "$stage"
rm -rf "$home"
mv "$stage" "$home"
trap - EXIT
say "$version ($kind) installed in .deps/libtorch"
