#!/usr/bin/env bash
# Makes the result sets of datasets/ that slotune itself can make: a suite on the simulator, and a study of a
# real vLLM on the CPU. Cards (README.md) stay as they are; `cargo test -p slotune --test datasets` says what
# of them no longer holds, and prints the rows to put there.
#
# usage: scripts/datasets.sh week3_suite_simulated | vllm_cpu_tiny
set -euo pipefail
cd "$(dirname "$0")/.."

name=${1:-}
case "$name" in
  week3_suite_simulated) command=suite ;;
  vllm_cpu_tiny)
    command=tune
    scripts/vllm-cpu/setup.sh target/vllm-cpu
    ;;
  *)
    echo "usage: scripts/datasets.sh week3_suite_simulated | vllm_cpu_tiny" >&2
    exit 2
    ;;
esac
slotune=${SLOTUNE:-}
if [ -z "$slotune" ]; then
  cargo build --release --bin slotune
  slotune=target/release/slotune
fi
# By its name, so that the command line in the set is the user's.
bin=$(mktemp -d)
trap 'rm -rf "$bin"' EXIT
ln -s "$(realpath "$slotune")" "$bin/slotune"

out=target/datasets/$name
# On the simulator anew: it takes no time, and a folder of another version would be gone on with.
if [ "$command" = suite ]; then rm -rf "$out"; fi
PATH="$bin:$PATH" slotune "$command" "datasets/studies/$name.toml" --out "$out"
mkdir -p "datasets/$name"
for part in trials requests timelines; do
  rm -rf "datasets/$name/$part"
  if [ -n "$(ls -A "$out/$part" 2>/dev/null)" ]; then
    cp -r "$out/$part" "datasets/$name/$part"
  fi
done
cp "$out/manifest.json" "datasets/$name/"
echo "datasets/$name: $(du -sk "datasets/$name" | cut -f1) KiB"
