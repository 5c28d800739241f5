#!/usr/bin/env bash
# make e2e: runs pytest over e2e/ (or e2e/test_$1.py) and ends with a line of counts.
set -uo pipefail
cd "$(dirname "$0")/../.."
log=$(mktemp)
trap 'rm -f "$log"' EXIT
suite=e2e/
[ -n "${1:-}" ] && suite=e2e/test_$1.py
"${FAIRLEAD_CACHE:-$HOME/.cache/fairlead}/venv/bin/python" -m pytest -p no:cacheprovider --durations=5 -v "$suite" 2>&1 | tee "$log"
code=${PIPESTATUS[0]}
count() { grep -oE "[0-9]+ $1" "$log" | tail -n 1 | grep -oE '^[0-9]+' || echo 0; }
failed=$(($(count failed) + $(count error)))
[ "$code" -ne 0 ] && [ "$failed" -eq 0 ] && failed=1
echo "$(count passed) passed, $failed failed, $(count skipped) skipped"
exit "$code"
