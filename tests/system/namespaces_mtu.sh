# Sourced by the example, in the middle of its traffic: the datagrams between the two nodes become as
# large as the link carries, and when a router on the way takes no more than 1,400 bytes, and says
# nothing that a node would listen to, data comes through all the same.
# shellcheck shell=bash disable=SC2154 # the example's names

mtu_of() { on "$1" "$program" status --json | grep -Eo '"mtu": ?[0-9]+' | grep -Eo '[0-9]+' | sort -n | tail -n 1; }
mtu_becomes() { # MACHINE BYTES
    local tries
    for tries in $(seq 100); do
        [ "$(mtu_of "$1")" != "$2" ] || return 0
        sleep 0.1
    done
    fail "the datagrams of $1 have $(mtu_of "$1") bytes, not $2, after $tries tries"
}
say "Datagrams become as large as the link takes"
mtu_becomes client 1472
mtu_becomes provider 1472

say "A path gets narrower without a word"
ip link set to-provider mtu 1400
reply=$(on client curl -sS --max-time 60 -x socks5h://127.0.0.1:1080 -H 'Expect:' \
    --data-binary "@$scratch/sent" -H 'Content-Type: application/octet-stream' \
    http://11.0.4.2:8080/up)
echo "$reply" | grep -q "$sum" || fail "the web server got something else: $reply"
mtu_becomes client 1232
ip link set to-provider mtu 1500
