#!/usr/bin/env bash
# gotest.sh go test …: runs the tests and prints each package as it ends, then what failed
# with its output, one line for each reason to skip, and the count. The exit code is go test's.
set -uo pipefail
out=$(mktemp)
trap 'rm -f "$out"' EXIT

# -v tells why a test was skipped; its lines are kept from the screen.
"$1" "$2" -v "${@:3}" 2>&1 | tee "$out" |
  grep --line-buffered -E '^(ok|FAIL|--- FAIL|panic:|fatal error:|WARNING: DATA RACE|go: |#|[^ ]+\.go:[0-9]+:[0-9]+:)'
rc=${PIPESTATUS[0]}

# A line of a test's log belongs to the test named last.
tests='/^=== (RUN|NAME|CONT|PAUSE) /{cur=$3; next}'
if [ "$rc" -ne 0 ]; then
  printf '\nWhat failed, with its output:\n'
  awk "$tests"'
    /^ *--- FAIL: /{printf "%s%s\n", said[$3], $0; next}
    /^(panic:|fatal error:|WARNING: DATA RACE)/{show=60}
    show>0{print; show--; next}
    /^(ok|FAIL|PASS|---)/{cur=""; next}
    cur!=""{said[cur]=said[cur] $0 "\n"}' "$out" | tail -n 500
fi
awk "$tests"'
  /^ *--- SKIP: /{n[why[$3]]++; next}
  /^ +[^ ]+\.go:[0-9]+: /{line=$0; sub(/^ +[^ ]+\.go:[0-9]+: /, "", line); why[cur]=line}
  END{for (w in n) printf "skipped %d: %s\n", n[w], w}' "$out" | sort
count() { grep -cE "^ *--- $1: " "$out"; }
printf '%d passed, %d failed, %d skipped\n' "$(count PASS)" "$(count FAIL)" "$(count SKIP)"
exit "$rc"
