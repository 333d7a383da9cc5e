#!/usr/bin/env bash
# ticking.sh "what happens" -- command…: runs the command and, while it runs, keeps one
# line alive with the seconds gone and what it is at. Silent when done within a second.
set -euo pipefail
what=$1
shift 2
log=$(mktemp)
trap 'rm -f "$log"' EXIT

"$@" >"$log" 2>&1 &
pid=$!
trap 'kill "$pid" 2>/dev/null || true; rm -f "$log"' INT TERM

start=$SECONDS
said=-10
while sleep 0.2; kill -0 "$pid" 2>/dev/null; do
  gone=$((SECONDS - start))
  [ "$gone" -ge 1 ] || continue
  last=$(tail -n 1 "$log" | cut -c1-60)
  if [ -t 1 ]; then
    printf '\r\033[K%s … %d s  %s' "$what" "$gone" "$last"
  elif [ $((gone - said)) -ge 10 ]; then
    printf '%s … %d s  %s\n' "$what" "$gone" "$last"
    said=$gone
  fi
done
rc=0
wait "$pid" || rc=$?
[ -t 1 ] && [ $((SECONDS - start)) -ge 1 ] && printf '\r\033[K'
if [ "$rc" -ne 0 ]; then
  printf '%s: failed\n' "$what" >&2
  cat "$log" >&2
elif [ $((SECONDS - start)) -ge 1 ]; then
  printf '%s: done in %d s\n' "$what" $((SECONDS - start))
fi
exit "$rc"
