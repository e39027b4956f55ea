#!/bin/bash
# Whole IP packets through the tunnel, in network namespaces: a client's device, a provider with its
# egress (tunnel.sh [kernel|user]), and a host on the internet. TCP both ways, UDP, echo and fragments, in
# IPv4 and IPv6; what may not go out or come in does not; the counts of both sides are equal to the byte,
# and the contracts settle.
#
#   arbiter 11.0.1.2   provider 11.0.2.2   web 11.0.3.2   client 11.0.4.2     (and 2a00:11:0:N::2)
#        └──────────────────┴──── router ─────┴──────────────┘
set -euo pipefail
self=$(realpath "$0")
egress=${1:-kernel}

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
inner4=192.0.0.2 inner6=fd77:7700:77::2
web4=11.0.3.2 web6=2a00:11:0:3::2

machine() { # NAME NUMBER
    ip netns add "$1"
    ip link add "to-$1" type veth peer name eth0 netns "$1"
    ip address add "11.0.$2.1/24" dev "to-$1"
    ip address add "2a00:11:0:$2::1/64" dev "to-$1" nodad
    ip link set "to-$1" up
    ip -n "$1" address add "11.0.$2.2/24" dev eth0
    ip -n "$1" address add "2a00:11:0:$2::2/64" dev eth0 nodad
    ip -n "$1" link set eth0 up
    ip -n "$1" link set lo up
    ip -n "$1" route add default via "11.0.$2.1"
    ip -n "$1" route add default via "2a00:11:0:$2::1"
}

on() {
    local name=$1
    shift
    ip netns exec "$name" "$@"
}

start_on() { # NAME ROLE FLAGS…
    local name=$1
    shift
    ip netns exec "$name" "$program" "$@" --state "$scratch/$name" 2>> "$scratch/$name.log" >&2 &
    pid[$name]=$!
}

join_on() { # NAME NETWORK
    "$program" key new --key "$scratch/keys/$1/key" > "$scratch/key.out" 2>&1 || fail "key new"
    on "$1" "$program" join "$join_line" "$2" --key "$scratch/keys/$1/key" > "$scratch/join.out" 2>&1 ||
        fail "join $2: $(cat "$scratch/join.out")"
}

forward() {
    echo 1 > /proc/sys/net/ipv4/ip_forward
    echo 1 > /proc/sys/net/ipv6/conf/all/forwarding
}

build_machines() {
    local number=0 name
    ip link set lo up
    forward
    for name in arbiter provider web client; do
        number=$((number + 1))
        machine "$name" "$number"
    done
    on provider sysctl -qw net.ipv4.ping_group_range="0 2147483647"
}

start_nodes() {
    start_on arbiter arbiter --listen 0.0.0.0:8443 --url https://11.0.1.2:8443 --hosts 11.0.1.2
    wait_for 20 "the arbiter's start" is_ready arbiter
    join_line=$(call arbiter join.line | jq -r .line)
    join_on provider bobnet
    join_on client alicenet
    credit alicenet 100000000000
    start_on provider provider --key "$scratch/keys/provider/key" --arbiter "$join_line" --egress-mode "$egress"
    start_on client client --key "$scratch/keys/client/key" --arbiter "$join_line" --proxy 127.0.0.1:1080
    wait_for 20 "the provider's start" is_ready provider
    wait_for 30 "the client's start" is_ready client
    [[ $(status provider | jq -r .packets.mode) = "$egress" ]] || fail "the egress: $(status provider | jq -c .packets)"
    call client tunnel.open '{"device":"ww0"}' > "$scratch/open.json" || fail "tunnel.open"
    [[ $(jq -c . "$scratch/open.json") == '{"device":"ww0","mtu":1400}' ]] || fail "$(cat "$scratch/open.json")"
    for name in client provider; do
        [[ $(cut -d ' ' -f 19 "/proc/${pid[$name]}/stat") == -10 ]] || fail "$name has not the priority that it should"
    done
    ip -n client address add $inner4 dev ww0
    ip -n client address add $inner6 dev ww0 nodad
    ip -n client link set ww0 up
    ip -n client route add $web4 dev ww0 src $inner4
    ip -n client route add $web6 dev ww0 src $inner6
    on web iperf3 -s > "$scratch/iperf.log" 2>&1 &
    sleep 0.3
}

tunnel() { # FIELD
    status client | jq ".tunnel.$1"
}

egress() { # FIELD
    status provider | jq ".packets.$1"
}

# iperf NAME FLAGS…: prints what was received; something must have come.
iperf() {
    local name=$1 bytes
    shift
    on client iperf3 -J --connect-timeout 5000 "$@" > "$scratch/iperf.json" || fail "$name: $(jq -r .error "$scratch/iperf.json")"
    bytes=$(jq '.end | (.sum_received.bytes // .sum.bytes)' "$scratch/iperf.json")
    ((bytes > 100000)) || fail "$name: $bytes bytes came"
    step "$name: $(jq -r '.end | (.sum_received // .sum) |
        "\(.bytes) bytes, \(.bits_per_second / 1e6 | floor) Mbit/s"' "$scratch/iperf.json")" \
        "$(jq -r '.end.sum.lost_percent // empty | "\(.) % lost"' "$scratch/iperf.json")"
}

check_traffic() {
    local address seconds=${TUNNEL_SECONDS:-1}
    for address in $web4 $web6; do
        on client ping -c 3 -i 0.2 -W 2 "$address" > "$scratch/ping.out" || fail "ping $address: $(cat "$scratch/ping.out")"
        on client ping -c 3 -i 0.2 -W 2 -s 5000 "$address" > "$scratch/ping.out" ||
            fail "ping $address in fragments: $(cat "$scratch/ping.out")"
        step "$address: $(tail -n 1 "$scratch/ping.out")"
        iperf "UDP up to $address" -c "$address" -t 1 -u -b 20M -l 1200
        iperf "UDP down from $address" -c "$address" -t 1 -u -b 20M -l 1200 -R
        iperf "UDP in fragments to $address" -c "$address" -t 1 -u -b 5M -l 3000
        iperf "UDP in fragments from $address" -c "$address" -t 1 -u -b 5M -l 3000 -R
        # Last, for check_flows: what has ended is listed for some seconds.
        iperf "TCP down from $address" -c "$address" -t "$seconds" -R
        iperf "TCP up to $address" -c "$address" -t "$seconds"
    done
}

flows() { # NODE FLAGS…
    "$program" flows --control "$scratch/$1/control.sock" "${@:2}"
}

# Both ends see the same flows; what is blocked is answered, at once, and by the right words.
check_flows() {
    local node
    for node in client provider; do
        flows "$node" --json > "$scratch/flows.json"
        jq -e '[.flows[] | select(.protocol == "tcp" and .port == 5201 and .bytes_up > 1000000)] | length >= 1' \
            "$scratch/flows.json" > /dev/null || fail "$node: $(cat "$scratch/flows.json")"
        jq -e '[.flows[] | select(.protocol == "icmp" and .packets_up == .packets_down)] | length >= 2' \
            "$scratch/flows.json" > /dev/null || fail "$node: $(cat "$scratch/flows.json")"
    done
    for node in client provider; do
        flows "$node" block "$web4" 2> /dev/null
        on client ping -c 1 -W 2 $web4 > "$scratch/ping.out" && fail "$node: blocked, and it answers"
        grep -q "Packet filtered" "$scratch/ping.out" || fail "$node: $(cat "$scratch/ping.out")"
        on client iperf3 -c $web4 -t 1 > "$scratch/iperf.out" 2>&1 && fail "$node: blocked, and it connects"
        grep -q "Connection refused" "$scratch/iperf.out" || fail "$node: $(cat "$scratch/iperf.out")"
        flows "$node" unblock "$web4" 2> /dev/null
        on client ping -c 1 -W 2 $web4 > "$scratch/ping.out" || fail "$node: $(cat "$scratch/ping.out")"
    done
    # A name in the first packets of a flow.
    flows client block blocked.example 2> /dev/null
    printf 'GET / HTTP/1.1\r\nHost: www.blocked.example\r\n\r\n' > "$scratch/request"
    # shellcheck disable=SC2016
    on client bash -c 'exec 3<> "/dev/tcp/$1/5201" && cat "$2" >&3 && read -r -t 5 -n 1 <&3' - $web4 "$scratch/request" \
        > "$scratch/read.out" 2>&1 && fail "blocked by its name, and it answers"
    grep -q "reset by peer" "$scratch/read.out" || fail "$(cat "$scratch/read.out")"
    flows client --json | jq -e '.flows[] | select(.name == "www.blocked.example" and .state == "denied")' \
        > /dev/null || fail "$(flows client)"
    flows client unblock blocked.example 2> /dev/null
    step "flows: seen by both, blocked by each, and by name"
}

# shows_http NODE NAME: the flow to NAME is known to be HTTP.
shows_http() {
    flows "$1" --json --limit 1000 |
        jq -e --arg name "$2" '.flows[] | select(.name == $name and .application == "HTTP")' > /dev/null
}

# ask_for NAME: a connection that asks for it, in one piece, and stays open.
ask_for() {
    printf 'GET / HTTP/1.1\r\nHost: %s\r\n\r\n' "$1" > "$scratch/request"
    # shellcheck disable=SC2016
    on client bash -c 'exec 3<> "/dev/tcp/$1/8080" && cat "$2" >&3 && sleep 3' - $web4 "$scratch/request" &
}

# send_quic: a new flow that begins as QUIC's do, and asks for example.com.
send_quic() {
    # shellcheck disable=SC2016
    on client bash -c 'exec 3<> "/dev/udp/$1/443" && cat "$2" >&3 && sleep 1 && cat "$2" >&3' - $web4 "$scratch/quic" \
        2> "$scratch/quic.err" || true
}

# quic_flows NODE STATE: so many.
quic_flows() {
    flows "$1" --json --limit 1000 | jq --arg state "$2" '[.flows[] | select(.protocol == "udp" and .port == 443 and
        .name == "example.com" and .application == "QUIC" and (.state == "denied") == ($state == "denied"))] | length'
}

# The name in QUIC is the process's word, and a block of it holds at both ends.
check_quic() {
    local node
    tail -c 1200 "$(dirname "$self")/../fuzz/corpus/packet_inspect/quic" > "$scratch/quic" # behind its IP and UDP heads
    send_quic
    for node in client provider; do
        wait_for 5 "QUIC's name at the $node" eval "((\$(quic_flows $node open) == 1))"
    done
    for node in client provider; do
        flows $node block example.com 2> /dev/null
        send_quic
        wait_for 5 "the flow's end at the $node" eval "((\$(quic_flows $node denied) >= 1))"
        flows $node unblock example.com 2> /dev/null
    done
}

# The process beside each node says what a flow is. When it is killed, flows go on, and it comes back.
check_inspector() {
    local node process
    on web iperf3 -s -p 8080 > "$scratch/iperf8080.log" 2>&1 & # anything that listens
    sleep 0.3
    ask_for before.example
    for node in client provider; do
        wait_for 5 "the application at the $node" shows_http $node before.example
        process=$(status $node | jq .flows.inspect_pid)
        [[ $(ps -o comm= -p "$process") == ww-inspect ]] || fail "$node: process $process"
        [[ $(ps -o nice= -p "$process") -eq -10 ]] || fail "$node: process $process waits for others than its node"
        kill -KILL "$process"
        wait_for 5 "its end at the $node" eval "((\$(status $node | jq .flows.inspect_pid) != $process))"
    done
    on client ping -c 1 -W 2 $web4 > "$scratch/ping.out" || fail "$(cat "$scratch/ping.out")"
    for node in client provider; do
        wait_for 20 "another at the $node" eval "((\$(status $node | jq .flows.inspect_starts) == 2))"
        "$program" status --control "$scratch/$node/control.sock" | has "first packets *looked at by process" ||
            fail "$("$program" status --control "$scratch/$node/control.sock")"
    done
    ask_for after.example
    for node in client provider; do
        wait_for 5 "the application at the $node" shows_http $node after.example
    done
    flows client block http 2> /dev/null
    ask_for never.example
    wait_for 5 "the flow's end" eval "flows client --json | jq -e '.flows[] |
        select(.name == \"never.example\" and .state == \"denied\")' > /dev/null"
    flows client unblock http 2> /dev/null
    check_quic
    step "first packets: looked at, also when who looks at them was killed"
}

# What is refused is counted where it happens.
check_refusals() {
    local denied foreign refused
    denied=$(tunnel out_denied) foreign=$(tunnel out_foreign)
    ip -n client route add 10.1.2.3 dev ww0 src $inner4
    on client ping -c 2 -i 0.2 -W 1 10.1.2.3 > "$scratch/ping.out" && fail "a private address answers"
    (($(tunnel out_denied) >= denied + 2)) || fail "a private destination is not counted"
    on client ping -c 2 -i 0.2 -W 1 -I 11.0.4.2 $web4 > "$scratch/ping.out" 2>&1 || true
    ip -n client route add 11.0.9.9 dev ww0 src 11.0.4.2
    on client ping -c 2 -i 0.2 -W 1 11.0.9.9 > "$scratch/ping.out" && fail "another source gets answers"
    (($(tunnel out_foreign) >= foreign + 2)) || fail "another source is not counted"
    # A provider's host that opens something towards the client, by its address there.
    if [[ $egress = kernel ]]; then
        refused=$(egress exit_refused)
        on provider ping -c 2 -i 0.2 -W 1 10.119.0.2 > "$scratch/ping.out" && fail "the client answers strangers"
        (($(egress exit_refused) >= refused + 2)) || fail "a stranger's packets are not counted"
    fi
    step "refused: a private destination, another source, what nobody asked for"
}

# refused COMMAND…: it must fail, and at once: somebody answers.
refused() {
    local begin
    begin=$(now_ms)
    on client "$@" > "$scratch/refused.out" 2>&1 && fail "$* gets through"
    (($(now_ms) - begin < 3000)) || fail "$* waits for an answer"
}

# The user blocks, and a private destination is refused, with a word to whoever asks.
check_verdicts() {
    local at
    [[ $(call client flows.list '{"limit":50}' | jq '[.flows[] | select(.protocol == "tcp" or .protocol == "icmp")] | length') -gt 3 ]] ||
        fail "flows are not listed: $(call client flows.list | head -c 2000)"
    call client flows.block "{\"text\":\"$web4\"}" > /dev/null || fail "flows.block"
    refused curl -sS --max-time 10 "http://$web4:5201/"
    refused ping -c 1 -W 5 $web4
    grep -q -i "filtered\|prohibited" "$scratch/refused.out" || fail "ping is not told: $(cat "$scratch/refused.out")"
    (($(tunnel out_rejected) >= 2)) || fail "blocked packets are not counted"
    call client flows.unblock "{\"text\":\"$web4\"}" > /dev/null || fail "flows.unblock"
    on client ping -c 1 -W 2 $web4 > "$scratch/ping.out" || fail "still blocked"
    refused curl -sS --max-time 10 http://10.1.2.3/
    # A closed port says so through the whole tunnel.
    at=$(now_ms)
    on client bash -c "exec 3<>/dev/udp/$web4/9; echo x >&3; sleep 0.3; echo x >&3" > "$scratch/udp.out" 2>&1 &&
        fail "a closed UDP port is not told"
    step "verdicts: blocked flows, private destinations and closed ports are told at once ($(($(now_ms) - at)) ms)"
}

is_settled() {
    status "$1" | jq -e '(.history | length) > 0 and all(.history[]; .state == "settled")'
}

check_contracts() {
    call client contracts.end > /dev/null || fail "contracts.end"
    wait_for 15 "the end of the contracts" is_settled client
    jq -n -e --argjson ours "$(status client)" --argjson theirs "$(status provider)" '
        ($theirs.history | map({key: .contract, value: .}) | from_entries) as $other
        | ($ours.history | all(.clean and ($other[.contract] as $peer | $peer.bytes_up == .bytes_up
                               and $peer.bytes_down == .bytes_down)))
          and ([$ours.history[].bytes_up] | add as $up
               | $up <= $ours.tunnel.out_bytes and $up >= $theirs.packets.out_bytes)
          and ([$ours.history[].bytes_down] | add) >= $ours.tunnel.in_bytes' > /dev/null ||
        fail "the counts of client and provider differ: $(status client | jq -c '.history, .tunnel')" \
            "$(status provider | jq -c '.history, .packets')"
    # What the user is shown is what was carried, to the byte.
    jq -n -e --argjson ours "$(status client)" --argjson shown "$("$program" footprint --state "$scratch/client" --json)" \
        '([$shown.rows[].up] | add) == $ours.tunnel.out_bytes' > /dev/null ||
        fail "footprint: $("$program" footprint --state "$scratch/client" --json | jq '[.rows[].up] | add') of $(tunnel out_bytes)"
    step "settled: $(status client | jq -c '[.history[] | {state, clean, bytes_up, bytes_down}]')"
}

build_machines
start_nodes
step "arbiter, provider, client and a host are ready"
check_traffic
check_flows
check_inspector
check_refusals
check_verdicts
step "client $(status client | jq -c .tunnel)"
step "provider $(status provider | jq -c .packets)"
if [[ -n ${TUNNEL_HOOK:-} ]]; then
    eval "$TUNNEL_HOOK"
fi
check_contracts
nice_of() { ps -o nice= -p "${pid[$1]}"; }
for node in provider client; do
    [[ $(nice_of $node) -eq -10 ]] || fail "a $node with a tunnel has the nice value $(nice_of $node)"
done
call client tunnel.close > /dev/null || fail "tunnel.close"
[[ $(nice_of client) -eq 0 ]] || fail "a client whose tunnel has ended has the nice value $(nice_of client)"
ip -n client link show ww0 > /dev/null 2>&1 && fail "the device is still there"
wait_for 5 "the provider's usual priority" eval "((\$(nice_of provider) == $(nice)))"
check_books
for name in client provider arbiter; do
    node_stop "$name"
done
check_books_offline
step "all held"
