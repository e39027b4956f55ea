#!/bin/bash
# The tunnel through address translation of each kind, in network namespaces: a client behind each, and a
# public provider; then both behind one. TCP, UDP, echo, both families inside and names, and counts that are
# equal to the byte. nat.sh [CLIENT:PROVIDER[:channels]…]: the pairs, of none, cone, restricted, symmetric;
# with `channels` without the fast lane, as with a peer that hasn't got it: packets go by data channels.
#
#   cone        one port outside for each inside, open to everybody (static dnat)
#   restricted  … open to addresses that something was sent to (a dynamic set)
#   symmetric   another port for each destination, and open to it only (masquerade fully-random)
#
#   arbiter 11.0.1.2   web 11.0.2.2   home 11.0.3.2 ── client 192.168.3.2   far 11.0.4.2 ── server 192.168.4.2
#        └──────────────────┴─── router ───┴───────────────────────────────────┘
set -euo pipefail
. "$(dirname "$0")/net.sh"
pairs=("$@")
((${#pairs[@]})) || pairs=(cone:none restricted:none symmetric:none cone:cone restricted:restricted symmetric:cone
    cone:none:channels)
web4=11.0.2.2 web6=2a00:11:0:2::2
beside=2000 # names don't go by the device here
ports=30000-30999 stun=11.0.2.3:3478

build_machines() {
    machine arbiter 1
    machine web 2
    ip -n web address add 11.0.2.3/24 dev eth0
    machine home 3
    machine far 4
    behind client 3 home
    behind server 4 far
}

# translate GATEWAY NUMBER KIND: with none it is a router, and the world knows the way.
translate() {
    local gateway=$1 inward='' guard='' mapping=masquerade
    ip route del "192.168.$2.0/24" 2> /dev/null || true
    on "$gateway" nft flush ruleset
    case $3 in
    none)
        ip route add "192.168.$2.0/24" via "11.0.$2.2"
        return
        ;;
    symmetric) mapping="masquerade fully-random" ;;
    restricted) guard="iifname eth0 udp dport $ports ip saddr != @sent_to drop" ;;
    esac
    [[ $3 == symmetric ]] || inward="iifname eth0 udp dport $ports dnat to 192.168.$2.2"
    # What comes unasked is dropped before a connection is made of it, which would take the port that an
    # outgoing one wants to keep.
    on "$gateway" nft -f - << END
table ip nat {
    set sent_to { type ipv4_addr; flags dynamic, timeout; timeout 60s; }
    chain first {
        type filter hook prerouting priority raw;
        iifname "lan" ip protocol udp update @sent_to { ip daddr }
        $guard
    }
    chain inward {
        type nat hook prerouting priority dstnat;
        $inward
    }
    chain outward {
        type nat hook postrouting priority srcnat;
        oifname "eth0" $mapping
    }
    chain input {
        type filter hook input priority filter;
        iifname "eth0" ip protocol udp drop
    }
    chain forward {
        type filter hook forward priority filter;
        ct state established,related accept
        ct status dnat accept
        iifname "eth0" drop
    }
}
END
}

start_servers() {
    on web "$tools/system_stun" 11.0.2.3 3478 > "$scratch/stun.log" 2>&1 &
    on web "$tools/system_exit_peer" serve 7000 $web4 $web6 > "$scratch/peer.log" 2>&1 &
    on web dnsmasq --keep-in-foreground --conf-file=/dev/null --no-resolv --no-hosts --no-ping \
        --listen-address=$web4 --bind-interfaces --user=root --pid-file= --local=/example/ \
        --host-record="web.example,$web4,$web6" > "$scratch/dnsmasq.log" 2>&1 &
    wait_for 5 "the servers' start" grep -q ready "$scratch/peer.log"
}

check_traffic() { # CLIENT
    on "$1" ping -n -c 3 -i 0.1 -W 2 $web4 > "$scratch/ping.out" || fail "ping: $(cat "$scratch/ping.out")"
    on "$1" ping -n -c 1 -s 4000 -W 2 $web4 > "$scratch/ping.out" || fail "ping: $(cat "$scratch/ping.out")"
    on "$1" "$tools/system_exit_peer" tcp $web4 7000 4 500000 || fail "TCP"
    on "$1" "$tools/system_exit_peer" udp $web4 7000 10 1200 1372 5000 || fail "UDP"
    on "$1" "$tools/system_exit_peer" refused $web4 7001 || fail "a refused connection"
    [[ $(on "$1" dig +short +tries=3 +time=2 @127.0.0.1 -p 5300 web.example A) == "$web4" ]] || fail "a name"
}

check_v6() { # CLIENT
    on "$1" ping -n -c 3 -i 0.1 -W 2 $web6 > "$scratch/ping.out" || fail "ping: $(cat "$scratch/ping.out")"
    on "$1" "$tools/system_exit_peer" tcp $web6 7000 2 500000 || fail "TCP, IPv6"
    on "$1" "$tools/system_exit_peer" udp $web6 7000 1200 5000 || fail "UDP, IPv6"
}

pair() { # NUMBER OF_CLIENT OF_PROVIDER LANE
    local client=client$1 provider=provider$1 flags=()
    machine_of[$client]=client machine_of[$provider]=server
    [[ $3 != none ]] || machine_of[$provider]=far
    translate home 3 "$2"
    translate far 4 "$3"
    join_on "$client"
    join_on "$provider"
    start_provider_on "$provider" --stun $stun --ports $ports
    [[ $4 != channels ]] || flags=(--no-fast-lane)
    start_client_on "$client" --stun $stun --ports $ports --dns-listen 127.0.0.1:5300 --dns-upstreams $web4:53 \
        "${flags[@]}"
    open_tunnel "$client" $web4 $web6
    check_traffic "$client"
    [[ $3 != none ]] || check_v6 "$client"
    step "client behind $2, provider behind $3: $(status "$client" | jq -c '.connections[0].path')"
    [[ $(status "$client" | jq -r '.connections[0].path.lane') == "$4" ]] || fail "the lane is not $4"
    check_client "$client" "$provider"
    node_stop "$client"
    node_stop "$provider"
}

build_machines
start_servers
start_arbiter_on
step "an arbiter, a host on the internet and gateways are ready"
number=0
for both in "${pairs[@]}"; do
    number=$((number + 1))
    IFS=: read -r of_client of_provider lane <<< "$both"
    pair $number "$of_client" "$of_provider" "${lane:-records}"
done
check_books
node_stop arbiter
check_books_offline
step "all held"
