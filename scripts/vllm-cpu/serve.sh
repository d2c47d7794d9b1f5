#!/usr/bin/env bash
# Serves the tiny model with vLLM on the CPU.
#
# usage: serve.sh DIR [vllm serve argument]...
#
# DIR is what setup.sh made. This is the command that the tests and `examples/tune_vllm.rs` give to
# slotune, which adds host, port and engine arguments. It execs vLLM, so the caller's child is the
# API server itself. In float32, since with bfloat16 the worker of vLLM 0.32.0 dies by SIGILL on some
# virtual machines.
set -euo pipefail

if [ $# -lt 1 ] || [ "${1#-}" != "$1" ]; then
  echo "usage: serve.sh DIR [vllm serve argument]..." >&2
  exit 2
fi
dir=$(cd "$1" && pwd)
shift
if [ ! -f "$dir/venv/.installed" ] || [ ! -f "$dir/tiny/config.json" ]; then
  echo "serve.sh: $dir is not set up; run setup.sh $dir first" >&2
  exit 3
fi

export HF_HUB_OFFLINE=1
export VLLM_NO_USAGE_STATS=1
# Cache space in whole GiB.
export VLLM_CPU_KVCACHE_SPACE=1
# Do not pin the worker to one core, which something else may be using.
export VLLM_CPU_OMP_THREADS_BIND=nobind
export OMP_NUM_THREADS=1
# With it, every start would compile all of vLLM and torch again.
unset PYTHONDONTWRITEBYTECODE

exec "$dir/venv/bin/vllm" serve "$dir/tiny" \
  --served-model-name tiny \
  --load-format dummy --dtype float32 --enforce-eager \
  --max-model-len 2048 --max-num-seqs 16 \
  "$@"
