#!/usr/bin/env bash
# rules.sh: the alert rules are right, and each alert fires when it should and not else. promtool
# is taken from the PATH, else out of Debian's package of Prometheus, which is not installed.
set -euo pipefail
cd "$(dirname "$0")/.."
promtool=$(command -v promtool || echo "$PWD/.tools/bin/promtool")
if [ ! -x "$promtool" ]; then
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  (cd "$work" && apt-get -q download prometheus >/dev/null 2>&1) || { echo "no promtool, and Debian's prometheus cannot be had: skipped"; [ -z "${GRIDGATE_REQUIRE_PEERS:-}" ]; exit; }
  dpkg-deb --fsys-tarfile "$work"/prometheus_*.deb | tar -xf - -C "$work" ./usr/bin/promtool
  mkdir -p .tools/bin
  mv "$work/usr/bin/promtool" .tools/bin/promtool
fi
cd deploy/prometheus
"$promtool" check config prometheus.yaml
"$promtool" test rules alerts_test.yaml
