#!/usr/bin/env bash
# Installs the Debian packages that images and test victims are made with; names them where it cannot.
set -euo pipefail

# FILE-OR-COMMAND PACKAGE
needs="
gcc gcc
make make
readelf binutils
/usr/include/stdio.h libc6-dev
python3 python3
unshare util-linux
ip iproute2
setfattr attr"

missing=()
while read -r what package; do
  case $what in
    '') ;;
    /*) [ -e "$what" ] || missing+=("$package") ;;
    *) command -v "$what" > /dev/null || missing+=("$package") ;;
  esac
done <<< "$needs"

[ ${#missing[@]} -gt 0 ] || exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get > /dev/null; then
  echo "please install first: ${missing[*]}" >&2
  exit 1
fi
echo "installing ${missing[*]}"
apt-get update -qq || echo 'apt-get update failed; trying with the package lists that are here' >&2
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" > /dev/null
