#!/usr/bin/env bash
# The training benchmark on a GPU, and the time that the 2019 report's networks take there.
#   deploy/bench-gpu.sh              where there is cargo: builds it, against the torch 2.11.0 of python3
#   BENCH=FILE deploy/bench-gpu.sh   where there is not: FILE was built elsewhere (cargo bench --no-run names it)
# python3 must have torch 2.11.0 with CUDA. Arguments go to the benchmark, such as --quick. Results: target/bench.
set -euo pipefail
cd "$(dirname "$0")/.."

torch=$(python3 -c 'import torch; assert torch.__version__.startswith("2.11.0"); print(torch.__path__[0])') || {
    echo "python3 has no torch 2.11.0" >&2
    exit 1
}
export LD_LIBRARY_PATH=$torch/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
[ -d data/mnist ] || deploy/setup-mnist.sh
if [ -z "${BENCH:-}" ]; then
    export LIBTORCH=$torch LIBTORCH_CXX11_ABI=1
    BENCH=$(cargo bench -p tenfold-trainer --bench train --no-run --message-format=json 2>/dev/null |
        sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' | tail -1)
fi
exec "$BENCH" --device cuda:0 --python "$(command -v python3)" --data data/mnist --output target/bench \
    --markdown target/bench/train-gpu.md --report "$@"
