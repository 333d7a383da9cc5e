#!/usr/bin/env bash
# dist.sh OUT [target…]: programs of all targets, what is in them, and their sums. Each archive
# holds the program, the licences, the list of its parts, the manual page and a configuration.
set -euo pipefail
out=$(realpath -m "$1")
shift
cd "$(dirname "$0")/.."
targets=("$@")
[ $# -gt 0 ] || targets=(linux/amd64 linux/arm64 linux/arm/v7)
version=$(deploy/version.sh)
web=internal/console/dist/m/licences.txt
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
mkdir -p "$out"
rm -f "$out"/gridgate_* "$out"/SHA256SUMS
for target in "${targets[@]}"; do
  name=${target//\//_}
  stage=$out/$name
  rm -rf "$stage"
  mkdir -p "$stage"
  deploy/ticking.sh "building $target" -- deploy/build.sh "$target" "$stage/gridgate"
  GOFLAGS='' "${GO:-go}" run ./deploy/pack licences --program "$stage/gridgate" --web $web --out "$stage/LICENCES.txt"
  GOFLAGS='' "${GO:-go}" run ./deploy/pack sbom --program "$stage/gridgate" --web $web --version "$version" --out "$stage/gridgate.cdx.json"
  cp configs/gridgate.yaml "$stage/gridgate.yaml"
  cp deploy/debian/gridgate.8 deploy/debian/gridgate.service "$stage/"
  chmod -R u=rwX,go=rX "$stage"
  tar --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" -C "$stage" -cf - . | gzip -n -9 >"$out/gridgate_${version}_$name.tar.gz"
  printf '%-14s %11s bytes, archive %11s\n' "$target" "$(stat -c %s "$stage/gridgate")" "$(stat -c %s "$out/gridgate_${version}_$name.tar.gz")"
done
(cd "$out" && sha256sum gridgate_*.tar.gz */gridgate >SHA256SUMS)
