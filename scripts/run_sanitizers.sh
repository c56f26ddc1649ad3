#!/usr/bin/env bash
# Unit tests under address+undefined, and the threaded rooms under thread sanitizer.
set -euo pipefail
cd "$(dirname "$0")/.."

threaded='^(http|engine|worker|gateway)$'

scripts/build.sh asan all
ASAN_OPTIONS=detect_stack_use_after_return=0 UBSAN_OPTIONS=print_stacktrace=1 \
  ctest --test-dir build/asan --output-on-failure --no-tests=error -j2

scripts/build.sh tsan http_test engine_test worker_test gateway_test
TSAN_OPTIONS="suppressions=$PWD/tests/tsan.supp halt_on_error=1" \
  ctest --test-dir build/tsan --output-on-failure --no-tests=error -R "$threaded"
