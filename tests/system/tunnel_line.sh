#!/bin/bash
# The tunnel on lines that are not good, in network namespaces, beside the same traffic without it. The
# client's line is a user-space one (system_line). tunnel_line.sh CASE [ROUNDS]:
#
#   loss    5 % lost and 100 ms of round trip: TCP through the tunnel does 0.8 of what it does without
#   fair    20 Mbit/s and 40 ms: a connection through the tunnel and one beside it, neither below a third,
#           both by cubic; with ROUNDS also both by bbr, one by the proxy, and for comparison two beside it
#           (without ROUNDS both are short; at a loss luck then counts for more, and half is enough)
#   hole    in mid-transfer the line begins to lose what is larger than 1,300 bytes, without a word
#   replay  datagrams overtake each other, come twice, and come again a second later
#
#   arbiter 11.0.1.2   provider 11.0.2.2   web 11.0.3.2, .3   line 11.0.4.1 ═══ 11.0.4.2 client
#        └──────────────────┴─── router ───┴────────────────────┘
set -euo pipefail
. "$(dirname "$0")/net.sh"
case=${1:?loss, fair, hole or replay}
rounds=${2:-} seconds=8 least=0.8 kinds=(cubic)
if [[ -z $rounds ]]; then
    rounds=3 seconds=3 least=0.5
else
    kinds=(cubic beside proxy bbr)
fi
tunneled=11.0.3.2 plain=11.0.3.3

# start_line KNOBS…: the router's end is in its own namespace, that of this script.
start_line() {
    "$tools/system_line" /proc/self/ns/net /run/netns/client "$@" > "$scratch/line.out" 2> "$scratch/line.log" &
    line=$!
    wait_for 5 "the line" grep -q ready "$scratch/line.out"
    ip address add 11.0.4.1 peer 11.0.4.2 dev line
    ip link set line up
    ip -n client address add 11.0.4.2 peer 11.0.4.1 dev line
    ip -n client link set line up
    ip -n client link set lo up
    ip -n client route add default via 11.0.4.1
}

start_all_on() { # KNOBS…
    machine arbiter 1
    machine provider 2
    machine web 3
    ip -n web address add $plain/24 dev eth0
    ip netns add client
    start_line "$@"
    on web iperf3 -s -p 5201 > "$scratch/iperf.log" 2>&1 &
    on web iperf3 -s -p 5202 > "$scratch/iperf2.log" 2>&1 &
    on web "$tools/system_exit_peer" serve 7000 $tunneled > "$scratch/peer.log" 2>&1 &
    start_nodes_on $tunneled
    step "arbiter, provider, a host, and a client on a line with $*"
}

# transfer ADDRESS PORT SECONDS FLAGS…: bits a second that came.
transfer() {
    on client timeout $(($3 + 60)) iperf3 -J --connect-timeout 20000 -c "$1" -p "$2" -t "$3" "${@:4}" > "$scratch/iperf.$2.json" ||
        fail "a transfer with $1: $(jq -r .error "$scratch/iperf.$2.json")"
    jq '.end.sum_received.bits_per_second | floor' "$scratch/iperf.$2.json"
}

# Eight connections at once, so that a second's luck is not the answer; by turns.
check_loss() {
    local round with without ratios=()
    for ((round = 0; round < rounds; round++)); do
        without=$(transfer $plain 5202 $seconds -P 8 -C cubic)
        with=$(transfer $tunneled 5201 $seconds -P 8 -C cubic)
        ratios+=("$(jq -n "$with / $without")")
        step "$(printf '%d and %d kbit/s without the tunnel and with it: %.2f' $((without / 1000)) $((with / 1000)) "${ratios[-1]}")"
    done
    printf '%s\n' "${ratios[@]}" | jq -se --argjson least $least 'sort | .[length / 2 | floor] >= $least' > "$scratch/median.out" ||
        fail "less than $least of the same without the tunnel"
    status client | jq -e '.connections[0].path.record < 3000' > /dev/null ||
        fail "wide records on such a line: $(status client | jq -c '.connections[0].path')"
}

# Of all rounds together: by the proxy it is the reliable class's own CUBIC, in the tunnel that of the TCP
# inside.
check_fair() {
    local round with without kind control long=$((seconds + 12))
    local -A withs=() withouts=()
    for ((round = 0; round < (rounds + 2) / 3 * ${#kinds[@]}; round++)); do
        kind=${kinds[round % ${#kinds[@]}]} control=cubic
        if [[ $kind == bbr ]]; then
            grep -qw bbr /proc/sys/net/ipv4/tcp_available_congestion_control || continue
            control=bbr
        fi
        transfer $plain 5202 $long -O 3 -C $control > "$scratch/without" &
        case $kind in
        proxy)
            with=$(on client "$tools/system_exit_peer" drain $plain 7000 $(((long + 3) * 1000)) 1080)
            # Each way, and what had not come back by then.
            beside=$((beside + 2 * with + 16000000)) with=$((with * 8 / (long + 3)))
            ;;
        beside) with=$(transfer $plain 5201 $long -O 3 -C $control) ;;
        *) with=$(transfer $tunneled 5201 $long -O 3 -C $control) ;;
        esac
        wait $!
        without=$(cat "$scratch/without")
        step "$kind: $((without / 1000)) kbit/s beside the tunnel, and $((with / 1000))"
        withs[$kind]=$((${withs[$kind]:-0} + with)) withouts[$kind]=$((${withouts[$kind]:-0} + without))
    done
    for kind in "${!withs[@]}"; do
        jq -n -e "[${withs[$kind]}, ${withouts[$kind]}] | min / add >= 1 / 3" > /dev/null ||
            fail "$kind: one of them has less than a third: ${withs[$kind]}, ${withouts[$kind]} beside the tunnel"
    done
}

# A connection that moves what it may, each way, before and after.
check_hole() {
    local way bytes
    for way in '' -R; do
        # shellcheck disable=SC2086
        transfer $tunneled 5201 1 $way > "$scratch/rate" || fail "before"
    done
    wait_for 10 "a path for whole packets" eval 'status client | jq -e ".connections[0].path.mtu > 1400"'
    nsenter --net=/run/netns/client iperf3 -J -c $tunneled -p 5201 -n 60M -b 60M > "$scratch/hole.json" &
    bytes=$!
    nsenter --net=/run/netns/client "$tools/system_mix" hold $tunneled 7000 5 > "$scratch/hold.out" 2> "$scratch/hold.log" &
    holder=$!
    sleep 1
    kill -USR1 $line
    began_ms=$(now_ms)
    wait_for 25 "a path for smaller ones" eval 'status client | jq -e ".connections[0].path.mtu <= 1300"'
    step "the line has a hole, seen after $(($(now_ms) - began_ms)) ms: $(status client | jq -c '.connections[0].path')"
    (($(now_ms) - began_ms < 4000)) || fail "the hole was seen after $(($(now_ms) - began_ms)) ms"
    timeout 60 tail --pid=$bytes -f /dev/null || fail "the transfer stands still"
    wait $bytes || fail "the transfer: $(jq -r .error "$scratch/hole.json")"
    kill -TERM $holder
    wait $holder || fail "connections: $(cat "$scratch/hold.log")"
    on client ping -n -c 1 -W 3 -M dont -s 1372 $tunneled > "$scratch/ping.out" || fail "a whole packet: $(cat "$scratch/ping.out")"
    step "the transfer has ended, at $(jq '.end.sum_received.bits_per_second / 1e6 | floor' "$scratch/hole.json") Mbit/s; an answer took $(tail -n 1 "$scratch/hold.out") ms at most"
    (($(tail -n 1 "$scratch/hold.out") < 6000)) || fail "an answer took $(tail -n 1 "$scratch/hold.out") ms"
}

# Each datagram that is inside comes out once: a flow of echoes would tell (DUP!).
check_replay() {
    local way
    on client ping -n -c 300 -i 0.005 -W 2 $tunneled > "$scratch/ping.out" || fail "ping: $(tail -n 3 "$scratch/ping.out")"
    ! grep -q DUP "$scratch/ping.out" || fail "a packet came twice: $(grep DUP "$scratch/ping.out" | head -n 3)"
    on client "$tools/system_exit_peer" tcp $tunneled 7000 4 1000000 || fail "TCP"
    for way in '' -R; do
        # shellcheck disable=SC2086
        step "TCP $way: $(($(transfer $tunneled 5201 3 $way) / 1000)) kbit/s"
    done
    on client iperf3 -J -c $tunneled -p 5201 -u -b 20M -l 1200 -t 2 > "$scratch/udp.json" || fail "UDP"
    step "UDP: $(jq -c '.end.sum | {packets, lost_packets}' "$scratch/udp.json"), $(tail -n 1 "$scratch/ping.out")"
    # More than were sent would be replayed ones.
    jq -e '.end.sum | .lost_packets >= 0' "$scratch/udp.json" > /dev/null || fail "more datagrams than were sent"
}

case $case in
loss) start_all_on delay=50 loss=50 ;;
# As much jitter as two packets take, which is what an acknowledgement lets go: line.c has why.
fair) start_all_on delay=20 rate=20000 queue=100000 jitter=1200 ;;
hole) start_all_on delay=2 ;;
replay) start_all_on delay=5 late=50 twice=100 again=100 ;;
esac
"check_$case"
check_end
kill -TERM $line
wait $line
step "the line: $(tail -n 1 "$scratch/line.out")"
