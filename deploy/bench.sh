#!/usr/bin/env bash
# bench.sh: the figures of the design's section 12, each as a table, after a line that says
# what machine this is. Never part of the tests.
set -euo pipefail
model=$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo 2>/dev/null | head -n 1)
mem=$(awk '/MemTotal/{printf "%.1f GB", $2/1e6}' /proc/meminfo 2>/dev/null || true)
disk=$(df -T . 2>/dev/null | awk 'NR==2{print $2}')
printf 'machine: %s cores of %s, %s memory, file system %s, %s, %s\n\n' \
  "$(getconf _NPROCESSORS_ONLN)" "${model:-unknown}" "${mem:-unknown}" "${disk:-unknown}" "$(uname -sr)" "$(go version | cut -d' ' -f3)"
for pkg in $(grep -rlE '^func Benchmark' --include='*_test.go' internal simulator 2>/dev/null | xargs -r -n1 dirname | sort -u); do
  echo "## $pkg"
  go test -run '^$' -bench . -benchtime "${BENCHTIME:-2s}" "./$pkg" | grep -E '^(Benchmark|ok|FAIL|panic|[|])' || true
  echo
done
if [ -x bin/gridsim ] && bin/gridsim bench --help >/dev/null 2>&1; then
  echo "## end to end"
  bin/gridsim bench
fi
