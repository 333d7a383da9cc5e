#!/usr/bin/env bash
# build.sh TARGET OUT: one static gridgate for linux/amd64, linux/arm64 or linux/arm/v7. The same
# commit and the same Go give the same bytes in any folder: paths are trimmed, no time is in it,
# and nothing of the builder's environment but GOPROXY and caches is used.
set -euo pipefail
target=$1 out=$2
cd "$(dirname "$0")/.."
IFS=/ read -r os arch variant <<<"$target"
export GOFLAGS='' CGO_ENABLED=0 GOOS=$os GOARCH=$arch GOAMD64=v1 GOARM64=v8.0 GOARM=${variant#v} GOEXPERIMENT='' GODEBUG=''
[ -n "$GOARM" ] || unset GOARM
vcs=true
git rev-parse --git-dir >/dev/null 2>&1 || vcs=false # a source archive: the version knows no commit then
exec "${GO:-go}" build -trimpath -buildvcs=$vcs -ldflags '-s -w -buildid=' -o "$out" ./cmd/gridgate
