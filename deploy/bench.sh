#!/usr/bin/env bash
# bench.sh: the figures of the design as one table, after a line that says what machine this
# is. Alone on the machine, or the figures are somebody else's. Never part of the tests.
#
#   make bench               about ten minutes
#   make bench BENCH=full    as long as the design asks for
#   make bench ONLY=smoke    one of: start journal engine broker mosquitto smoke devices import decode storm wires
#   make bench ONLY=tuesday  a district of 100,000 devices at 60 times the speed for ten minutes; not part of the whole
#   make bench ONLY=knee     gridsim bench until the knee over each wire; ARGS go to each
set -euo pipefail
cd "$(dirname "$0")/.."
if [ "${ONLY:-decode}" = decode ]; then
  echo "Decoding, one core, one frame at a time:"
  go test -run '^$' -bench '^BenchmarkDecode' -benchtime 2s ./internal/profile | awk '
    function of(unit,  i) { for (i = 3; i <= NF; i++) if ($i == unit) return $(i - 1); return "" }
    BEGIN { printf "| codec | frames/s | ns a frame | allocations |\n|---|---|---|---|\n" }
    /^BenchmarkDecode/ { name = $1; sub(/^[^\/]*\//, "", name); sub(/-[0-9]+$/, "", name)
      rate = of("frames/cpu-s"); if (rate == "") rate = of("frames/s"); if (rate == "") rate = 1e9 / of("ns/op")
      printf "| %s | %d | %d | %s |\n", name, rate, of("ns/op"), of("allocs/op") }
    END { print "" }'
  [ "${ONLY:-}" != decode ] || exit 0
fi
if [ "${ONLY:-storm}" = storm ]; then
  echo "1,000 smoke alarms of 300 buildings at the same moment, until they are committed:"
  go test -run '^$' -bench '^BenchmarkStorm$' -benchtime 3x ./internal/engine | awk '
    function of(unit,  i) { for (i = 3; i <= NF; i++) if ($i == unit) return $(i - 1); return "" }
    BEGIN { printf "| | p50 | p99 | max |\n|---|---|---|---|\n" }
    /^BenchmarkStorm/ { printf "| alarm | %s ms | %s ms | |\n", of("alarm-p50-ms"), of("alarm-p99-ms")
      printf "| first message of a building | %s ms | %s ms | %s ms |\n", of("message-p50-ms"), of("message-p99-ms"), of("message-max-ms") }
    END { print "" }'
  [ "${ONLY:-}" != storm ] || exit 0
fi
make -s influxd
export PATH="$PATH:/usr/sbin" # mosquitto
if [ "${ONLY:-}" = tuesday ] || [ "${ONLY:-}" = knee ]; then
  make -s build
  export PATH="$PWD/.tools/bin:$PATH"
  if [ "$ONLY" = tuesday ]; then exec bin/gridsim bench tuesday ${ARGS:-}; fi
  bin/gridsim bench --until knee --wire mqtt --conns 10 --from 5000 --step x1.5 ${ARGS:-}
  # The gateway bounds what one address may ask: CoAP's devices are many.
  bin/gridsim bench --until knee --wire coap --devices 6000 --from 800 --step x1.6 ${ARGS:-}
  for wire in coaps lwm2m gbt26875 lines; do
    bin/gridsim bench --until knee --wire $wire --devices 1000 --from 200 --step x1.6 ${ARGS:-}
  done
  exit 0
fi
case "${ONLY:-}" in wires) what=Wires ;; '') what='(Figures|Wires)' ;; *) what=Figures ;; esac # Wires: all wires at once
go test -run '^$' -bench "^Benchmark$what\$" -benchtime 1x -timeout 3h ./internal/gatetest/figures 2>&1 |
  grep --line-buffered -vE '^(goos|goarch|pkg|cpu|PASS|ok|Benchmark(Figures|Wires)[^ ]* +[0-9 ]*$|Benchmark(Figures|Wires).* ns/op)'
