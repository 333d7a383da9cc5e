#!/usr/bin/env bash
# secrets.sh: makes what is missing in ./secrets, each of 32 random characters.
set -euo pipefail
cd "$(dirname "$0")"
umask 077
mkdir -p secrets
word() { head -c 24 /dev/urandom | base64 -w0 | tr '+/' '-_'; }
for name in mosquitto_password influx1_admin influx2_token grafana_admin; do
  [ -s "secrets/$name" ] || word >"secrets/$name"
done
[ -s secrets/influx1_password ] || printf 'gridgate:%s' "$(cat secrets/influx1_admin)" >secrets/influx1_password
# Mosquitto's own form of a password: PBKDF2 with SHA-512, as mosquitto_passwd writes it.
[ -s secrets/mosquitto_users ] || python3 - secrets/mosquitto_password >secrets/mosquitto_users <<'PY'
import base64, hashlib, os, sys
salt, rounds = os.urandom(12), 101
key = hashlib.pbkdf2_hmac("sha512", open(sys.argv[1], "rb").read(), salt, rounds)
print("gridgate:$7$%d$%s$%s" % (rounds, base64.b64encode(salt).decode(), base64.b64encode(key).decode()))
PY
chmod 644 secrets/* # the folder is yours alone; inside the containers other users read them
