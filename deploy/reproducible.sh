#!/usr/bin/env bash
# reproducible.sh [target…]: builds the commit twice, in two clones in different folders, the
# second with an empty cache of its own, and compares byte by byte. QUICK=1: with the cache of
# this machine, which checks paths, times and link flags, not the compiler.
set -euo pipefail
cd "$(dirname "$0")/.."
targets=("$@")
[ $# -gt 0 ] || targets=(linux/amd64 linux/arm64 linux/arm/v7)
work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
[ -z "$(git status --porcelain)" ] || echo "note: what is compared is the commit, not your changes"
git clone -q --shared . "$work/one"
git clone -q --shared . "$work/another-place/two"
for target in "${targets[@]}"; do
  "$work/one/deploy/build.sh" "$target" "$work/a"
  if [ -n "${QUICK:-}" ]; then
    "$work/another-place/two/deploy/build.sh" "$target" "$work/b"
  else
    GOCACHE="$work/cache" "$work/another-place/two/deploy/build.sh" "$target" "$work/b"
  fi
  cmp "$work/a" "$work/b"
  if LC_ALL=C grep -aqF "$work" "$work/a"; then
    echo "$target: the name of the folder is in it" >&2
    exit 1
  fi
  printf '%-14s the same twice: %s\n' "$target" "$(sha256sum <"$work/a" | cut -c1-64)"
done
