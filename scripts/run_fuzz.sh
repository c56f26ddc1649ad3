#!/usr/bin/env bash
# Runs every fuzz target for SECONDS (60 by default), two at a time, on its kept corpus.
#   scripts/run_fuzz.sh [SECONDS]
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${1:-60}
targets=(gguf safetensors config tokenizer_json tokenizer_model jinja sse json_stream http api
  aws_event_stream providers)
scripts/build.sh fuzz "${targets[@]/#/fuzz_}"

fuzz_one() {
  local name=$1 seconds=$2 found=build/fuzz/found/$1
  mkdir -p "$found" "tests/fuzz/corpus/$name"
  local dictionary=()
  [ -f "tests/fuzz/$name.dict" ] && dictionary=(-dict="tests/fuzz/$name.dict")
  # New inputs go to the build folder; the committed corpus is read only.
  if build/fuzz/tests/fuzz/fuzz_"$name" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 \
    -artifact_prefix="$found/crash-" "${dictionary[@]}" "$found" "tests/fuzz/corpus/$name" \
    >"build/fuzz/$name.log" 2>&1; then
    echo "fuzz $name: $(grep -E '^Done' "build/fuzz/$name.log" || tail -n 1 "build/fuzz/$name.log")"
  else
    echo "fuzz $name FAILED"
    tail -n 60 "build/fuzz/$name.log"
    return 1
  fi
}
export -f fuzz_one
printf '%s\n' "${targets[@]}" | xargs -P 2 -I{} bash -c 'fuzz_one "$1" "$2"' _ {} "$seconds"
