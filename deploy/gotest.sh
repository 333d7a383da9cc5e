#!/usr/bin/env bash
# gotest.sh go test …: runs the tests, prints packages and failures, then one line for
# each skipped test, and closes with the count of tests. The exit code is go test's.
set -uo pipefail
out=$(mktemp)
trap 'rm -f "$out"' EXIT

# -v gives the skip lines; they are kept from the screen unless something fails.
"$1" "$2" -v "${@:3}" 2>&1 | tee "$out" | grep --line-buffered -E '^(ok|FAIL|---[ ]FAIL|panic:|\?.*\[build failed\])|^#|^[^ ]+\.go:[0-9]+:[0-9]+:|^-test.shuffle' | grep --line-buffered -v '^-test.shuffle'
rc=${PIPESTATUS[0]}

if [ "$rc" -ne 0 ]; then
  echo
  echo "What failed, with its output:"
  # The lines from a test's start to its FAIL line, for the tests that failed.
  awk '/^=== RUN/{buf=""} {buf=buf $0 "\n"} /^ *--- FAIL/{printf "%s", buf; buf=""} /^(panic:|fatal error:|WARNING: DATA RACE)/{show=60} show>0{print; show--}' "$out" | tail -n 400
fi
grep -A3 -E '^ *--- SKIP' "$out" | grep -E '^ +[^ ]+_test\.go:[0-9]+:' | sed -E 's/^ +[^ ]+_test\.go:[0-9]+: /skipped: /' | sort | uniq -c | sed -E 's/^ *([0-9]+) skipped/skipped (\1 tests)/'
count() { grep -cE "^ *--- $1: " "$out"; }
printf '%d passed, %d failed, %d skipped\n' "$(count PASS)" "$(count FAIL)" "$(count SKIP)"
exit "$rc"
