#!/usr/bin/env bash
# bench.sh: the figures of the design as one table, after a line that says what machine this
# is. Alone on the machine, or the figures are somebody else's. Never part of the tests.
#
#   make bench               about eight minutes
#   make bench BENCH=full    as long as the design asks for
#   make bench ONLY=smoke    one of: start journal engine broker mosquitto smoke devices
set -euo pipefail
cd "$(dirname "$0")/.."
make -s influxd
export PATH="$PATH:/usr/sbin" # mosquitto
go test -run '^$' -bench '^BenchmarkFigures$' -benchtime 1x -timeout 3h ./internal/gatetest/figures 2>&1 |
  grep --line-buffered -vE '^(goos|goarch|pkg|cpu|PASS|ok|BenchmarkFigures[^ ]* +[0-9 ]*$|BenchmarkFigures.* ns/op)'
