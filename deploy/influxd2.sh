#!/usr/bin/env bash
# influxd2.sh BUILD OUT: an InfluxDB 2.7 for the tests, by the build script given, kept for the
# next clone on this machine. Its link flags name the folder it is built in, and the compiler's
# cache remembers them: it gets a cache of its own, which is thrown away afterwards.
set -euo pipefail
build=$1 out=$2
kept=${XDG_CACHE_HOME:-$HOME/.cache}/gridgate-influxd2
if [ ! -x "$kept/influxd2" ]; then
  rm -rf "$kept"
  mkdir -p "$kept"
  GOCACHE=$kept/cache "$build" "$kept/made" "$kept/build"
  rm -rf "$kept/cache" "$kept/build"
  mv "$kept/made" "$kept/influxd2"
fi
mkdir -p "$(dirname "$out")"
cp "$kept/influxd2" "$out"
