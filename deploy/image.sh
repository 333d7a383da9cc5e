#!/usr/bin/env bash
# image.sh DIST [target…]: the file systems of the images (DIST/image/root-<arch>), and, with
# docker, podman or buildah, the image of this machine's architecture as gridgate:<version>.
set -euo pipefail
dist=$(realpath "$1")
shift
cd "$(dirname "$0")/.."
targets=("$@")
[ $# -gt 0 ] || targets=(linux/amd64 linux/arm64 linux/arm/v7)
version=$(deploy/version.sh)
epoch=$(git log -1 --format=%ct)
for target in "${targets[@]}"; do
  from=$dist/${target//\//_}
  IFS=/ read -r _ arch variant <<<"$target"
  root=$dist/image/root-$arch$variant
  rm -rf "$root"
  install -D -m 755 "$from/gridgate" "$root/usr/bin/gridgate"
  install -D -m 644 deploy/container/gridgate.yaml "$root/etc/gridgate/gridgate.yaml"
  install -D -m 644 "$from/LICENCES.txt" "$root/usr/share/doc/gridgate/LICENCES.txt"
  install -D -m 644 "$from/gridgate.cdx.json" "$root/usr/share/doc/gridgate/gridgate.cdx.json"
  printf 'gridgate:x:10001:10001::/var/lib/gridgate:/sbin/nologin\n' >"$root/etc/passwd"
  printf 'gridgate:x:10001:\n' >"$root/etc/group"
  install -d -m 1777 "$root/tmp"
  install -d -m 700 "$root/var/lib/gridgate"
  [ "$(id -u)" -ne 0 ] || chown 10001:10001 "$root/var/lib/gridgate"
  find "$root" -exec touch -h -d "@$epoch" {} +
done
tag=gridgate:${version//+/-}
arch=$(dpkg --print-architecture 2>/dev/null || uname -m | sed 's/x86_64/amd64/; s/aarch64/arm64/')
if docker info >/dev/null 2>&1; then
  docker build -q -t "$tag" --build-arg TARGETARCH="$arch" -f deploy/container/Dockerfile "$dist/image"
elif command -v podman >/dev/null || command -v buildah >/dev/null; then
  $(command -v podman || command -v buildah) build -q --timestamp "$epoch" --format docker -t "$tag" --build-arg TARGETARCH="$arch" -f deploy/container/Dockerfile "$dist/image"
else
  echo "no docker, podman or buildah: the file systems are in $dist/image"
  exit 0
fi
echo "$tag"
