#!/bin/bash
# Runs every fuzzer of a build folder for some seconds each: fuzz.sh BUILD SECONDS.
# Seeds and dictionaries stand in <folder of the fuzzer>/seeds/<name>/ and seeds/<name>.dict; the
# corpus grows in a temporary folder. What a failing fuzzer leaves is kept and named.
set -u
build=$1
seconds=$2
passed=0
failed=0
work=$(mktemp -d)
for fuzzer in "$build"/fuzz/fuzz_*; do
  [ -x "$fuzzer" ] || continue
  name=$(basename "$fuzzer")
  corpus=$work/$name/corpus
  mkdir -p "$corpus"
  arguments=()
  seeds=$(find lib agent endpoint operator -type d -path "*/seeds/$name" -print -quit 2>/dev/null)
  if [ -n "$seeds" ]; then
    cp "$seeds"/* "$corpus"/
    [ -f "$seeds.dict" ] && arguments+=("-dict=$seeds.dict")
  fi
  echo "$name: $seconds s"
  if "$fuzzer" "${arguments[@]}" -max_total_time="$seconds" -max_len=4096 -rss_limit_mb=1024 \
      -artifact_prefix="$work/$name/" -print_final_stats=1 "$corpus" > "$work/$name/log" 2>&1; then
    passed=$((passed + 1))
    echo "  $(grep number_of_executed_units "$work/$name/log" | tr -s ' ')"
    rm -rf "${work:?}/$name"
  else
    failed=$((failed + 1))
    echo "  FAILED; log and input are in $work/$name"
    tail -20 "$work/$name/log"
  fi
done
[ "$failed" -eq 0 ] && rm -rf "$work"
if [ $((passed + failed)) -eq 0 ]; then
  echo "no fuzzer in $build/fuzz" >&2
  failed=1
fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
