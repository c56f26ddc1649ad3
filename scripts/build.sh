#!/usr/bin/env bash
# Configures (once) and builds targets of a preset: scripts/build.sh release tessera
set -euo pipefail
cd "$(dirname "$0")/.."

preset=$1
shift
if [ ! -f "build/$preset/build.ninja" ]; then
  mkdir -p "build/$preset"
  log=build/$preset/configure.log
  cmake --preset "$preset" >"$log" 2>&1 || { cat "$log" >&2; exit 1; }
fi
# ninja shows its own progress line on a terminal; without one, say what is going on.
[ -t 1 ] || echo "Building preset $preset: $*"
exec ninja -C "build/$preset" "$@"
