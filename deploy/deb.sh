#!/usr/bin/env bash
# deb.sh DIST ARCH…: Debian packages of the programs that dist.sh has built: amd64, arm64, armhf.
# The same commit gives the same bytes.
set -euo pipefail
dist=$(realpath "$1")
shift
cd "$(dirname "$0")/.."
version=$(deploy/version.sh)
export SOURCE_DATE_EPOCH
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
maintainer=${DEB_MAINTAINER:-gridgate <gridgate@localhost>}

# put MODE FILE TARGET
put() { install -D -m "$1" "$2" "$root$3"; }
zipped() { mkdir -p "$root$(dirname "$2")" && gzip -n -9 <"$1" >"$root$2" && chmod 644 "$root$2"; }

for arch in "$@"; do
  case $arch in
    amd64 | arm64) from=$dist/linux_$arch ;;
    armhf) from=$dist/linux_arm_v7 ;;
    *) echo "architecture $arch: want amd64, arm64 or armhf" >&2; exit 2 ;;
  esac
  [ -x "$from/gridgate" ] || { echo "$from/gridgate is not there: make dist" >&2; exit 1; }
  root=$(mktemp -d)
  trap 'rm -rf "$root"' EXIT
  chmod 755 "$root"
  doc=/usr/share/doc/gridgate
  put 755 "$from/gridgate" /usr/bin/gridgate
  put 644 deploy/debian/gridgate.yaml /etc/gridgate/gridgate.yaml
  put 644 deploy/debian/gridgate.service /lib/systemd/system/gridgate.service
  put 644 deploy/debian/modules-load.conf /usr/lib/modules-load.d/gridgate.conf
  put 644 deploy/debian/gridgate.bash-completion /usr/share/bash-completion/completions/gridgate
  put 644 deploy/debian/copyright $doc/copyright
  put 644 deploy/debian/lintian-overrides /usr/share/lintian/overrides/gridgate
  put 644 configs/gridgate.yaml $doc/examples/gridgate.yaml
  for f in deploy/prometheus/*.yaml deploy/grafana/*.json; do put 644 "$f" "$doc/examples/$(basename "$f")"; done
  zipped "$from/LICENCES.txt" $doc/LICENCES.txt.gz
  zipped "$from/gridgate.cdx.json" $doc/gridgate.cdx.json.gz
  zipped deploy/debian/gridgate.8 /usr/share/man/man8/gridgate.8.gz
  printf 'gridgate (%s) stable; urgency=medium\n\n  * Built from commit %s.\n\n -- %s  %s\n' "$version" "$(git rev-parse HEAD)" "$maintainer" \
    "$(TZ=UTC git log -1 --date='format-local:%a, %d %b %Y %H:%M:%S +0000' --format=%cd)" >"$root/changelog"
  zipped "$root/changelog" $doc/changelog.gz
  rm "$root/changelog"
  mkdir "$root/DEBIAN"
  size=$(du -k -s --apparent-size "$root" | cut -f1)
  sed -e "s/@VERSION@/$version/; s/@ARCH@/$arch/; s/@SIZE@/$size/; s/@MAINTAINER@/$maintainer/" deploy/debian/control.in >"$root/DEBIAN/control"
  (cd "$root" && find etc lib usr -type f | LC_ALL=C sort | xargs md5sum >DEBIAN/md5sums)
  install -m 644 deploy/debian/conffiles deploy/debian/templates "$root/DEBIAN/"
  install -m 755 deploy/debian/postinst deploy/debian/prerm deploy/debian/postrm "$root/DEBIAN/"
  chmod -R u=rwX,go=rX "$root"
  deb=$dist/gridgate_${version}_$arch.deb
  dpkg-deb --root-owner-group -Zgzip --build "$root" "$deb" >/dev/null
  rm -rf "$root"
  trap - EXIT
  printf '%-14s %11s bytes, %s\n' "$arch" "$(stat -c %s "$deb")" "$deb"
done
(cd "$dist" && sha256sum gridgate_*.tar.gz gridgate_*.deb */gridgate >SHA256SUMS 2>/dev/null) || true
