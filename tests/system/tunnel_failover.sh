#!/bin/bash
# Several providers, in network namespaces. A client that is connected to two spreads its flows of packets
# over both, each staying where it began; when one provider goes, or its cable is pulled, its flows go on over
# the other, and when
# all are gone packets wait for the next. The device stays all the time. A client that never declares is
# served for some seconds, and no longer.
#
#   arbiter 11.0.1.2   one 11.0.2.2   two 11.0.3.2   web 11.0.4.2   client 11.0.5.2   liar 11.0.6.2
#        └──────────────────┴──────────────┴─── router ───┴──────────────┴─────────────────┘
set -euo pipefail
self=$(realpath "$0")

if [[ -z ${TUNNEL_INSIDE:-} ]]; then
    user=()
    (($(id -u) == 0)) || user=(--user --map-root-user)
    # shellcheck disable=SC2016
    if ! unshare "${user[@]}" --mount --net bash -c 'mount -t tmpfs none /run && nft add table ip probe &&
        ip netns add probe && ip tuntap add probe mode tun' 2> /dev/null; then
        echo "namespaces, nftables or TUN devices are not allowed here"
        exit 77
    fi
    TUNNEL_INSIDE=1 exec unshare "${user[@]}" --mount --net --pid --fork --kill-child --mount-proc \
        bash "$self" "$@"
fi

mount -t tmpfs none /run
. "$(dirname "$self")/lib.sh"
unset XDG_RUNTIME_DIR
web=11.0.4.2

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

start_on() { # NAME ROLE FLAGS…
    local name=$1
    shift
    ip netns exec "$name" "${node_program[$name]:-$program}" "$@" --state "$scratch/$name" \
        2>> "$scratch/$name.log" >&2 &
    pid[$name]=$!
}

join_on() { # NAME NETWORK
    "$program" key new --key "$scratch/keys/$1/key" > "$scratch/key.out" 2>&1 || fail "key new"
    on "$1" "$program" join "$join_line" "$2" --key "$scratch/keys/$1/key" > "$scratch/join.out" 2>&1 ||
        fail "join $2: $(cat "$scratch/join.out")"
}

start_provider_on() {
    start_on "$1" provider --key "$scratch/keys/$1/key" --arbiter "$join_line" --egress-mode kernel
    wait_for 20 "the start of $1" is_ready "$1"
}

open_tunnel() { # NAME
    call "$1" tunnel.open '{"device":"ww0"}' > /dev/null || fail "tunnel.open of $1"
    ip -n "$1" address add 192.0.0.2 dev ww0
    ip -n "$1" link set ww0 up
    ip -n "$1" route add $web dev ww0 src 192.0.0.2
}

start_client_on() { # NAME FLAGS…
    local name=$1
    shift
    start_on "$name" client --key "$scratch/keys/$name/key" --arbiter "$join_line" --proxy 127.0.0.1:1080 "$@"
    wait_for 30 "the start of $name" is_ready "$name"
}

# A UDP echo by bash would need a server; ping's id is a flow of its own, too.
answers() { # NAME
    on "$1" ping -c 1 -W 1 $web > /dev/null
}

connections() { # COUNT
    status client | jq -e "[.connections[] | select(.ready and any(.contracts[]; .state == \"current\"))] | length == $1"
}

out_packets() { # PROVIDER
    status "$1" | jq .packets.out_packets
}

ip link set lo up
echo 1 > /proc/sys/net/ipv4/ip_forward
number=0
for name in arbiter one two web client liar; do
    number=$((number + 1))
    machine "$name" $number
done
start_on arbiter arbiter --listen 0.0.0.0:8443 --url https://11.0.1.2:8443 --hosts 11.0.1.2
wait_for 20 "the arbiter's start" is_ready arbiter
join_line=$(call arbiter join.line | jq -r .line)
for name in one two client liar; do
    join_on $name "of-$name"
    credit "of-$name" 10000000000
done
start_provider_on one
start_provider_on two
start_client_on client --providers 2
open_tunnel client
wait_for 20 "the second connection" connections 2
step "two providers, and a client that is connected to both"

for ((i = 0; i < 8; i++)); do
    answers client || fail "ping $i has no answer"
done
for name in one two; do
    (($(out_packets $name) >= 3)) || fail "$name carried $(out_packets $name) of 8 flows"
done
before=$(out_packets one)/$(out_packets two)
on client ping -c 10 -i 0.1 -W 1 $web > "$scratch/ping.out" || fail "$(cat "$scratch/ping.out")"
step "8 flows on both, then one of 10 packets on one of them: $before, $(out_packets one)/$(out_packets two)"
jq -n -e "[$(out_packets one), $(out_packets two)] | add == 18 and any(. >= 13)" > /dev/null || fail "a flow is not sticky"

# A cable is pulled, and is back before anybody gives the path up: what went by it goes on by the other,
# what begins goes there, too, and nothing comes back by itself.
received() {
    grep -c 'bytes from' "$scratch/ping.out" || true
}
state_is() { # STATE
    status client | jq -e "any(.connections[].path; .state == \"$1\")"
}
ip netns exec client ping -i 0.1 -W 1 $web > "$scratch/ping.out" &
pinging=$!
before_one=$(out_packets one) before_two=$(out_packets two) pulled=''
carries() { # Whoever carries the flow is to be pulled.
    if (($(out_packets one) >= before_one + 5)); then
        pulled=one
    elif (($(out_packets two) >= before_two + 5)); then
        pulled=two
    fi
    [[ -n $pulled ]]
}
wait_for 10 "a flow over one of them" carries
ip link set "to-$pulled" down
first=$(received) began_ms=$(now_ms)
wait_for 20 "the flow's going on over the other" eval "((\$(received) > first + 3))"
took_ms=$(($(now_ms) - began_ms))
state_is silent || fail "nobody says that $pulled is silent"
for ((i = 0; i < 4; i++)); do
    answers client || fail "ping $i has no answer while $pulled is silent"
done
ip link set "to-$pulled" up
wait_for 5 "a sign of life of $pulled" eval '! state_is silent'
before=$(out_packets $pulled)
sleep 1
(($(out_packets $pulled) == before)) || fail "a flow has come back to $pulled"
kill -TERM $pinging
wait $pinging || true
step "$pulled was silent: its flow went on after $took_ms ms, and it is heard again"
((took_ms < 5000)) || fail "a flow stood still for $took_ms ms"

# One flow all the time, while its provider goes.
ip netns exec client ping -i 0.1 -W 1 $web > "$scratch/ping.out" &
pinging=$!
sleep 1
node_stop one
sleep 1
first=$(received)
wait_for 15 "the flow's going on over two" eval "((\$(received) > $first + 5))"
step "one is gone: its flows go on over two"
node_stop two
sleep 2
lost=$(received)
start_provider_on one
wait_for 40 "the flow's going on over the new one" eval "((\$(received) > $lost + 5))"
kill -TERM $pinging
wait $pinging || true
[[ $(status client | jq -r .tunnel.device) == ww0 ]] || fail "the device is gone"
step "both were gone, one is back: $(received) answers of one flow"

rigged liar WW_NEVER_DECLARES=1
start_client_on liar
open_tunnel liar
answers liar || fail "an undeclared flow gets no answer at first"
served=$(now_ms)
while answers liar; do
    (($(now_ms) - served < 15000)) || fail "an undeclared flow is served for more than 15 s"
    sleep 0.2
done
(($(now_ms) - served > 3000)) || fail "an undeclared flow is served for $(($(now_ms) - served)) ms only"
(($(status one | jq .packets.out_refused) > 0)) || fail "refused packets are not counted"
step "undeclared: served for $(($(now_ms) - served)) ms"
answers client || fail "the other client is not served any more"

# Four flows over two providers, one of which answers for the other's, too, and sends what nobody asked for.
rigged two WW_SENDS_JUNK=1
start_provider_on two
wait_for 40 "the second connection" connections 2
pinging=()
for id in 1001 1002 1003 1004; do
    ip netns exec client ping -e $id -i 0.2 -W 1 $web > "$scratch/ping.$id" &
    pinging+=($!)
done
wait_for 15 "the end of the junk" grep -q "packets that nobody asked for" "$scratch/client.log"
forged=$(grep -l icmp_seq=9999 "$scratch"/ping.100? | wc -l)
((forged > 0)) || fail "the forged answers to two's own flows did not come"
((forged < 4)) || fail "two forges answers to flows that go over one"
answers_to() { # FLOW
    grep -c 'ttl=' "$scratch/ping.$1" || true
}
declare -A counted=()
for id in 1001 1002 1003 1004; do
    counted[$id]=$(answers_to $id)
done
answered() { # In every flow, after the other provider has gone.
    local id
    for id in 1001 1002 1003 1004; do
        (($(answers_to $id) > counted[$id] + 5)) || return 1
    done
}
wait_for 30 "all four flows over one" answered
kill -TERM "${pinging[@]}"
wait "${pinging[@]}" || true
step "two sends junk, forges in $forged flows, which are its own, and is left"
node_stop two

for name in client liar; do
    call $name contracts.end > /dev/null || fail "contracts.end of $name"
done
for name in client liar one arbiter; do
    node_stop $name
done
check_books_offline
step "all held"
