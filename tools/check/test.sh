#!/usr/bin/env bash
# make test: every check in order. Each stage prints "N passed, N failed[, N skipped]"; the closing line adds them up.
set -uo pipefail
cd "$(dirname "$0")/../.."
log=$(mktemp)
trap 'rm -f "$log"' EXIT
passed=0 failed=0 skipped=0

stage() { # stage NAME COMMAND...: counts the stage's own closing line; without one the stage is one test
  local name=$1 code counts started=$SECONDS
  shift
  echo "== $name"
  "$@" 2>&1 | tee "$log"
  code=${PIPESTATUS[0]}
  counts=$(grep -E '^[0-9]+ passed, [0-9]+ failed(, [0-9]+ skipped)?$' "$log" | tail -n 1)
  if [ -n "$counts" ]; then
    local p f s
    read -r p f s < <(sed -E 's/^([0-9]+) passed, ([0-9]+) failed(, ([0-9]+) skipped)?$/\1 \2 0\4/' <<< "$counts")
    passed=$((passed + p)) skipped=$((skipped + 10#$s))
    [ "$code" -ne 0 ] && [ "$f" -eq 0 ] && f=1
    failed=$((failed + f))
  elif [ "$code" -eq 0 ]; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
  fi
  echo "== $name: exit $code, $((SECONDS - started)) s"
}

stage "unit tests" make --no-print-directory unit
stage "layers and headers" make --no-print-directory check
stage "unit tests, address and undefined-behaviour sanitizers" make --no-print-directory unit PRESET=asan-ubsan
stage "fuzzers, 20 s each" make --no-print-directory fuzz
stage "mutants" make --no-print-directory mutants
stage "charts" make --no-print-directory charts
stage "end to end, against real API servers" make --no-print-directory e2e

echo
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
