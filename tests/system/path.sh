#!/bin/bash
# Changes of path in mid-transfer, in network namespaces: a client's address changes; its NAT gives it
# other ports; nothing passes for 20 s, and for 90 s; its address changes while the arbiter is down.
# One arbiter, one provider and one web server; a client for each case, all at the same time. Every
# byte is compared, no connection through the proxy breaks, no connection is made anew, counts are equal
# to the byte, and every contract settles. path.sh [LONG_S]: the long blackout's seconds.
#
#   arbiter 11.0.1.2   provider 11.0.2.2   web 11.0.3.2   moved, short, long, outage 11.0.4.2 to 11.0.7.2
#        └────────────────┴───── router ──────┴─────────────┴──── home 11.0.8.2 (NAT) ── nat 192.168.7.2
set -euo pipefail
self=$(realpath "$0")
long_s=${1:-90}

if [[ -z ${PATH_INSIDE:-} ]]; then
    user=()
    (($(id -u) == 0)) || user=(--user --map-root-user)
    # shellcheck disable=SC2016
    if ! unshare "${user[@]}" --mount --net bash -c 'mount -t tmpfs none /run && nft add table ip probe &&
        ip netns add probe' 2> /dev/null; then
        echo "namespaces or nftables are not allowed here"
        exit 77
    fi
    PATH_INSIDE=1 exec unshare "${user[@]}" --mount --net --pid --fork --kill-child --mount-proc \
        bash "$self" "$@"
fi

mount -t tmpfs none /run
. "$(dirname "$self")/lib.sh"
unset XDG_RUNTIME_DIR
clients=(moved nat short long outage)

# --- machines and the router between them -----------------------------------------------------------

machine() { # NAME NUMBER
    ip netns add "$1"
    ip link add "to-$1" type veth peer name eth0 netns "$1"
    ip address add "11.0.$2.1/24" dev "to-$1"
    ip link set "to-$1" up
    ip -n "$1" address add "11.0.$2.2/24" dev eth0
    ip -n "$1" link set eth0 up
    ip -n "$1" link set lo up
    ip -n "$1" route add default via "11.0.$2.1"
}

on() {
    local name=$1
    shift
    ip netns exec "$name" "$@"
}

# What passes the NAT keeps its port if it can, until new_ports.
home_nat() {
    on home nft -f - << END
table ip nat
delete table ip nat
table ip nat {
    chain post {
        type nat hook postrouting priority srcnat;
        oifname "eth0" ip protocol udp masquerade $1
        oifname "eth0" masquerade
    }
}
END
}

build_machines() {
    local number=0 name
    ip link set lo up
    echo 1 > /proc/sys/net/ipv4/ip_forward
    for name in arbiter provider web moved short long outage home; do
        number=$((number + 1))
        machine "$name" "$number"
    done
    ip netns add nat
    on home ip link add lan type veth peer name eth0 netns nat
    on home ip address add 192.168.7.1/24 dev lan
    on home ip link set lan up
    on home sh -c 'echo 1 > /proc/sys/net/ipv4/ip_forward'
    ip -n nat address add 192.168.7.2/24 dev eth0
    ip -n nat link set eth0 up
    ip -n nat link set lo up
    ip -n nat route add default via 192.168.7.1
    home_nat ''
    nft -f - << 'END'
table ip core {
    set dead { type ifname; }
    chain forward {
        type filter hook forward priority filter;
        iifname @dead drop
        oifname @dead drop
    }
}
END
}

# --- nodes ------------------------------------------------------------------------------------------

# start_on NAME ROLE FLAGS…: as lib.sh's node_start, on the machine of that name.
start_on() {
    local name=$1
    shift
    ip netns exec "$name" "$program" "$@" --state "$scratch/$name" 2>> "$scratch/$name.log" >&2 &
    pid[$name]=$!
}

start_the_arbiter() {
    start_on arbiter arbiter --listen 0.0.0.0:8443 --url https://11.0.1.2:8443 --hosts 11.0.1.2
}

join_on() { # NAME NETWORK
    "$program" key new --key "$scratch/keys/$1/key" > "$scratch/key.out" 2>&1 || fail "key new"
    on "$1" "$program" join "$join_line" "$2" --key "$scratch/keys/$1/key" > "$scratch/join.out" 2>&1 ||
        fail "join $2: $(cat "$scratch/join.out")"
}

start_nodes() {
    local name
    start_the_arbiter
    wait_for 20 "the arbiter's start" is_ready arbiter
    join_line=$(call arbiter join.line | jq -r .line)
    join_on provider homes
    start_on provider provider --key "$scratch/keys/provider/key" --arbiter "$join_line"
    for name in "${clients[@]}"; do
        join_on "$name" "of-$name"
        credit "of-$name" 1000000000
        start_on "$name" client --key "$scratch/keys/$name/key" --arbiter "$join_line" \
            --proxy 127.0.0.1:1080
    done
    on web "$program" demo-origin --listen 11.0.3.2:8080 --announce "$scratch/web.port" \
        2> "$scratch/web.log" &
    wait_for 20 "the provider's start" is_ready provider
    for name in "${clients[@]}"; do
        wait_for 30 "the start of $name" is_ready "$name"
    done
    wait_for 10 "the web server's start" test -s "$scratch/web.port"
}

# --- traffic ------------------------------------------------------------------------------------------

size=9437184
declare -A curls=()

# 1 MiB a second, as a slow reader or writer does it: curl's own limit lets bursts through.
slowly() {
    local piece
    for ((piece = 0; piece < size / 65536; piece++)); do
        dd bs=65536 count=1 iflag=fullblock status=none
        sleep 0.06
    done
}

# Starts an upload and a download, each on a connection of its own: 9 s when nothing happens.
start_traffic() {
    local name=$1
    slowly < "$scratch/sent" | on "$name" curl -sS --max-time 240 -x socks5h://127.0.0.1:1080 \
        -H 'Expect:' -X POST -T - http://11.0.3.2:8080/up \
        > "$scratch/$name.up" 2> "$scratch/$name.up.log" &
    curls[$name.up]=$!
    on "$name" curl -sS --max-time 240 -x socks5h://127.0.0.1:1080 \
        "http://11.0.3.2:8080/down?bytes=$size&seed=7" 2> "$scratch/$name.down.log" |
        slowly > "$scratch/$name.down" &
    curls[$name.down]=$!
}

# end_traffic NAME [SECONDS]: both must have come to their end, and be what was sent; in that time, once
# the path is there again.
end_traffic() {
    local name=$1 way began_s=$SECONDS
    for way in up down; do
        wait "${curls[$name.$way]}" || fail "$name, $way: curl ended with $?"
    done
    step "$name: both transfers have ended"
    ((SECONDS - began_s <= ${2:-20})) || fail "$name took $((SECONDS - began_s)) s to end on its new path"
    grep -q "$sent_sum" "$scratch/$name.up" || fail "$name: the web server got something else"
    [[ $(sha256sum < "$scratch/$name.down") == "$down_sum" ]] || fail "$name: something else came"
}

path_of() {
    status "$1" | jq -c '.connections[0].path'
}

# path_is NAME FILTER: of its only connection.
path_is() {
    status "$1" | jq -e "(.connections | length) == 1 and (.connections[0].path | $2)"
}

has_moved() {
    path_is "$1" '.changes > 0 and .lost_ms == 0'
}

# moved NAME SECONDS: waits for the end of its change.
moved() {
    wait_for "$2" "the change of path of $1" has_moved "$1"
    step "$1: $(path_of "$1")"
}

# --- what happens to them -------------------------------------------------------------------------------

# Another network, as when a laptop leaves the house: the old address is gone at once.
new_address() { # NAME NUMBER OF_BEFORE
    ip address add "11.0.$2.1/24" dev "to-$1"
    ip -n "$1" address add "11.0.$2.2/24" dev eth0
    ip -n "$1" address del "11.0.$3.2/24" dev eth0
    ip -n "$1" route replace default via "11.0.$2.1"
}

# The home router forgets what it has translated (it does so for a device that goes down), and gives
# other ports.
new_ports() {
    home_nat 'to :40000-40999'
    on home ip link set eth0 down
    on home ip link set eth0 up
    on home ip route replace default via 11.0.8.1
}

dead() {
    nft add element ip core dead "{ to-$1 }"
}

alive() {
    nft delete element ip core dead "{ to-$1 }"
}

is_lost() {
    path_is "$1" '.lost_ms > 0 and .changing'
}

# --- accounts ---------------------------------------------------------------------------------------------

is_settled() {
    status "$1" | jq -e '(.history | length) > 0 and all(.history[]; .state == "settled")'
}

# Ends the contracts of a client; counts are the provider's to the byte, and nothing is in dispute.
check_client() {
    local name=$1
    call "$name" contracts.end > /dev/null || fail "contracts.end of $name"
    wait_for 15 "the end of the contracts of $name" is_settled "$name"
    jq -n -e --argjson ours "$(status "$name")" --argjson theirs "$(status provider)" \
        --argjson least $((2 * size)) '
        ($theirs.history | map({key: .contract, value: .}) | from_entries) as $other
        | ($ours.history | all($other[.contract] as $peer | $peer.bytes_up == .bytes_up
                               and $peer.bytes_down == .bytes_down))
          and ([$ours.history[] | .bytes_up + .bytes_down] | add) >= $least' > /dev/null ||
        fail "the counts of $name and its provider differ"
    step "$name: $(status "$name" | jq -c '[.history[] | {state, clean, bytes_up, bytes_down}]')"
}

# --- the test ------------------------------------------------------------------------------------------------

build_machines
head -c $size /dev/urandom > "$scratch/sent"
sent_sum=$(sha256sum < "$scratch/sent" | cut -d ' ' -f 1)
start_nodes
down_sum=$(on web curl -sS "http://11.0.3.2:8080/down?bytes=$size&seed=7" | sha256sum)
step "arbiter, provider, ${#clients[@]} clients and a web server are ready"

for name in moved nat short long; do
    start_traffic "$name"
done
sleep 3
for name in moved nat short long; do
    path_is "$name" '.changes == 0 and .kind != "none"' > /dev/null || fail "$name: $(path_of "$name")"
done
dead short
dead long
began_ms=$(now_ms)
new_address moved 21 4
new_ports
step "moved has another address, nat has other ports, short and long are cut off"

# until_s SECONDS: since the cut.
until_s() {
    local left=$((began_ms + $1 * 1000 - $(now_ms)))
    ((left <= 0)) || sleep "$((left / 1000)).$(printf '%03d' $((left % 1000)))"
}

moved moved 20
until_s 20
alive short
step "short is back"
is_lost long || fail "long still has a path: $(path_of long)"
"$program" status --state "$scratch/long" | grep "no path for" || fail "status does not tell of a lost path"
end_traffic moved
moved short 30
moved nat 30
end_traffic nat
end_traffic short

start_traffic outage
sleep 3
node_kill arbiter
new_address outage 22 7
step "the arbiter is dead, and outage has another address"
sleep 12
path_is outage '.changes == 0 and .changing' > /dev/null || fail "outage: $(path_of outage)"
start_the_arbiter
wait_for 20 "the arbiter's return" is_ready arbiter
step "the arbiter is back"
moved outage 40
end_traffic outage

until_s "$long_s"
alive long
step "long is back"
moved long 40
end_traffic long

for name in "${clients[@]}"; do
    check_client "$name"
done
check_books
for name in "${clients[@]}" provider arbiter; do
    node_stop "$name"
done
check_books_offline
step "all held"
