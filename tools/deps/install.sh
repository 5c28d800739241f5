#!/usr/bin/env bash
# make deps: installs the packages of packages.txt that are missing. Does nothing, fast, when all are there.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

mapfile -t wanted < <(grep -vE '^[[:space:]]*(#|$)' "$here/packages.txt")
mapfile -t present < <(dpkg-query -W -f '${db:Status-Status} ${Package}\n' "${wanted[@]}" 2>/dev/null | sed -n 's/^installed //p')
mapfile -t missing < <(comm -23 <(printf '%s\n' "${wanted[@]}" | sort -u) <(printf '%s\n' "${present[@]}" | sort -u))

python_tools() { # pytest and what the verdict needs, in a venv of the cache; again when the list changes
  local cache=${FAIRLEAD_CACHE:-$HOME/.cache/fairlead} wants=$here/../../e2e/requirements.txt
  cmp -s "$wants" "$cache/venv/requirements.txt" && return
  echo "deps: installing the Python tools of e2e/requirements.txt"
  mkdir -p "$cache"
  python3 -m venv --clear "$cache/venv"
  "$cache/venv/bin/pip" install --quiet --disable-pip-version-check -r "$wants"
  cp "$wants" "$cache/venv/requirements.txt"
}

if [ ${#missing[@]} -eq 0 ]; then
  python_tools
  exit 0
fi

if [ "$(id -u)" -ne 0 ]; then
  echo "deps: missing packages: ${missing[*]}" >&2
  echo "deps: run as root, or: apt-get install --no-install-recommends ${missing[*]}" >&2
  exit 1
fi
echo "deps: installing ${#missing[@]} packages: ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends "${missing[@]}" > /dev/null
python_tools
echo "deps: done"
