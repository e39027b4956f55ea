#!/usr/bin/env bash
# Installs what is missing of tests/packages.txt. Usage: tests/install.sh run|test|bench
# "run" is what building and running needs; "test" is that and what the tests need besides; "bench"
# is "run" and what comparisons with other programs need.
# Does nothing when everything is there. Needs root or sudo only when something is missing.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
group=${1:-}
case $group in
run | test | bench) ;;
*)
    echo "usage: $0 run|test|bench" >&2
    exit 2
    ;;
esac

# Lines "package [command]" of the groups that are wanted.
wanted() {
    awk -v want="$group" '
        { sub(/#.*/, ""); gsub(/[()]/, "") }
        /^\[/ { section = substr($1, 2, length($1) - 2); next }
        NF && (section == "run" || section == want) { print $1, $2 }' "$here/packages.txt"
}

is_installed() {
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

missing=()
while read -r package command; do
    if [ -n "$command" ] && command -v "$command" >/dev/null 2>&1; then
        continue
    fi
    is_installed "$package" || missing+=("$package")
done < <(wanted)
[ "${#missing[@]}" -gt 0 ] || exit 0

as_root=()
if [ "$(id -u)" != 0 ]; then
    if ! command -v sudo >/dev/null 2>&1; then
        echo "Missing packages, and neither root nor sudo to install them. As root, run:" >&2
        echo "    apt-get install --no-install-recommends ${missing[*]}" >&2
        exit 1
    fi
    as_root=(sudo)
fi
if ! command -v apt-get >/dev/null 2>&1; then
    echo "This system has no apt-get. Install the likes of: ${missing[*]}" >&2
    exit 1
fi

# What goes wrong is on stderr; the rest would be some lines for each of hundreds of packages.
apt() {
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 "$@" >/dev/null
}

echo "Installing ${#missing[@]} Debian packages${as_root:+ with sudo}, a minute or two: ${missing[*]}" >&2
# A list that is missing or too old is fetched once.
if ! apt install --simulate --no-install-recommends "${missing[@]}" 2>/dev/null ||
    ! apt install -y --no-install-recommends "${missing[@]}"; then
    echo "Fetching the list of packages first" >&2
    apt update
    apt install -y --no-install-recommends "${missing[@]}"
fi
