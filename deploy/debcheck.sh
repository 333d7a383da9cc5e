#!/usr/bin/env bash
# debcheck.sh DEB [ROOT.tar]: what is in a package. With LIFE=1, as root and with a Debian in a
# tar (mmdebstrap --variant=minbase --include=systemd,adduser bookworm root.tar) or mmdebstrap to
# make one, also the whole life of it in a folder of its own: installed by apt, run, installed
# again, removed, purged. Nothing touches this machine's own system.
set -euo pipefail
deb=$(realpath "$1")
tar=${2:-}
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf --one-file-system "$work"' EXIT
fail() { echo "deb: $*" >&2; exit 1; }

dpkg-deb -c "$deb" | awk '{print $1, $2, $6}' >"$work/list"
while read -r line; do grep -qxF -- "$line" "$work/list" || fail "not in the package as it should be: $line"; done <<'END'
-rwxr-xr-x root/root ./usr/bin/gridgate
-rw-r--r-- root/root ./etc/gridgate/gridgate.yaml
-rw-r--r-- root/root ./lib/systemd/system/gridgate.service
-rw-r--r-- root/root ./usr/share/doc/gridgate/LICENCES.txt.gz
-rw-r--r-- root/root ./usr/share/doc/gridgate/gridgate.cdx.json.gz
-rw-r--r-- root/root ./usr/share/doc/gridgate/copyright
-rw-r--r-- root/root ./usr/share/man/man8/gridgate.8.gz
-rw-r--r-- root/root ./usr/share/doc/gridgate/examples/gridgate.yaml
END
! grep -v ' root/root ' "$work/list" || fail "files that are not root's"
! grep -E '^-.....w|^-........w' "$work/list" || fail "files that others may write"
[ "$(dpkg-deb -I "$deb" conffiles)" = /etc/gridgate/gridgate.yaml ] || fail "the configuration is no conffile"
dpkg-deb -x "$deb" "$work/x"
(cd "$work/x" && dpkg-deb -I "$deb" md5sums | md5sum -c --quiet -) || fail "sums"
if [ "$(dpkg-deb -f "$deb" Architecture)" = "$(dpkg --print-architecture)" ]; then
  ! ldd "$work/x/usr/bin/gridgate" >/dev/null 2>&1 || fail "the program is not static"
  said=$("$work/x/usr/bin/gridgate" version --config "$work/x/etc/gridgate/gridgate.yaml" --json)
  ! grep -q config_fault <<<"$said" || fail "the configuration has a fault: $said"
  ! grep -q '"commit": "unknown"' <<<"$said" || fail "the program knows no commit"
fi
if command -v systemd-analyze >/dev/null; then
  systemd-analyze security --offline=true --no-pager "$work/x/lib/systemd/system/gridgate.service" >"$work/security" 2>&1 || true
  exposure=$(sed -n 's/.*Overall exposure level for gridgate.service: \([0-9.]*\).*/\1/p' "$work/security")
  awk -v e="$exposure" 'BEGIN { exit !(e != "" && e < 2.0) }' || fail "systemd-analyze security says '$exposure': want under 2.0"
  echo "systemd-analyze security: $exposure"
else
  echo "systemd-analyze is not here: exposure of the unit not measured"
fi
echo "contents as they should be: $(wc -l <"$work/list") files and folders"

[ -n "${LIFE:-}" ] || exit 0
if [ "$(id -u)" -ne 0 ] || { [ -z "$tar" ] && ! command -v mmdebstrap >/dev/null; }; then
  echo "not installed: wants root, and mmdebstrap or the tar of a Debian"
  exit 0
fi
if [ -z "$tar" ]; then
  tar=$work/root.tar
  deploy/ticking.sh "making a Debian" -- mmdebstrap --quiet --variant=minbase --include=systemd,adduser bookworm "$tar"
fi
mkdir "$work/root"
tar -C "$work/root" -xf "$tar" --exclude='./dev/*'
mknod -m 666 "$work/root/dev/null" c 1 3
mknod -m 444 "$work/root/dev/urandom" c 1 9
cp "$deb" "$work/root/gridgate.deb"
cat >"$work/root/life.sh" <<'END'
set -eu
export DEBIAN_FRONTEND=noninteractive PATH=/usr/sbin:/usr/bin:/sbin:/bin
step() { echo "  $*"; }
fail() { echo "deb: $*" >&2; exit 1; }
mount -t proc proc /proc
apt-get -qq -o APT::Sandbox::User=root install -y --no-install-recommends /gridgate.deb >/var/log/install 2>&1 || { cat /var/log/install; exit 1; }
[ "$(id -nG gridgate)" = "gridgate dialout" ] || fail "user: $(id gridgate)"
[ "$(stat -c '%U:%G %a' /var/lib/gridgate)" = "gridgate:gridgate 750" ] || fail "data: $(stat -c '%U:%G %a' /var/lib/gridgate)"
[ "$(stat -c '%U:%G %a' /etc/gridgate/gridgate.yaml)" = "root:gridgate 640" ] || fail "configuration: $(stat -c '%U:%G %a' /etc/gridgate/gridgate.yaml)"
[ -L /etc/systemd/system/multi-user.target.wants/gridgate.service ] || fail "the service is not enabled"
step "installed by apt: user, groups, modes, service enabled"

as() { setpriv --reuid gridgate --regid gridgate --init-groups --no-new-privs env HOME=/var/lib/gridgate "$@"; }
serve() {
  as sh -c 'umask 0077; cd /var/lib/gridgate; exec gridgate serve' >>/var/log/gridgate 2>&1 &
  pid=$!
  for i in $(seq 300); do gridgate ready >/dev/null 2>&1 && return; sleep 0.2; done
  cat /var/log/gridgate; fail "the gateway is not ready"
}
ends() { kill "$pid"; wait "$pid" || true; }
serve
gridgate check >/var/log/check || { cat /var/log/check; fail "gridgate check"; }
gridgate version | grep -q '/etc/gridgate/gridgate.yaml' || fail "the configuration is not found without being named"
ends
step "runs as user gridgate with /etc/gridgate/gridgate.yaml; gridgate ready, check, version"

echo '# a change of the operator' >>/etc/gridgate/gridgate.yaml
before=$(cat /var/lib/gridgate/token)
dpkg -i /gridgate.deb >/dev/null 2>&1
grep -q 'a change of the operator' /etc/gridgate/gridgate.yaml || fail "the configuration was written over"
serve
ends
[ "$(cat /var/lib/gridgate/token)" = "$before" ] || fail "the data is another after an upgrade"
step "installed over itself: configuration and data are as they were"

apt-get -qq remove -y gridgate >/dev/null 2>&1
[ ! -e /usr/bin/gridgate ] && [ -e /var/lib/gridgate/state.db ] && [ -e /etc/gridgate/gridgate.yaml ] || fail "remove"
step "removed: data and configuration stay"
dpkg --purge gridgate >/dev/null 2>&1
[ -e /var/lib/gridgate/state.db ] && [ ! -e /etc/gridgate/gridgate.yaml ] || fail "purge without an answer"
step "purged without an answer: data stays"
apt-get -qq -o APT::Sandbox::User=root install -y --no-install-recommends /gridgate.deb >/dev/null 2>&1
echo 'gridgate gridgate/purge_data boolean true' | debconf-set-selections
dpkg --purge gridgate >/dev/null 2>&1
[ ! -e /var/lib/gridgate ] || fail "purge with the answer yes leaves the data"
[ ! -e /etc/gridgate ] || fail "purge leaves /etc/gridgate"
step "purged with the answer yes: nothing stays"
END
echo "in a Debian of its own:"
unshare --mount --pid --fork --kill-child chroot "$work/root" sh /life.sh
echo "systemd does not run there: what it does with the unit is not shown by this"
