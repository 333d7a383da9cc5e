#!/usr/bin/env bash
# version.sh: the version of a package made of this clone: 0.1.0 where the commit has the tag
# v0.1.0, else 0.1.0+git20261122.1a2b3c4, which is newer than 0.1.0 and older than 0.1.1.
set -euo pipefail
cd "$(dirname "$0")/.."
base=$(sed -n 's/^const Version = "\(.*\)"$/\1/p' internal/gateway/gateway.go)
if [ "$(git describe --tags --exact-match 2>/dev/null || true)" = "v$base" ]; then
  echo "$base"
else
  echo "$base+git$(TZ=UTC git log -1 --date=format-local:%Y%m%d --format=%cd).$(git rev-parse --short=7 HEAD)"
fi
