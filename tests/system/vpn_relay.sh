#!/bin/bash
# `ww up`, all of the machine's traffic in the tunnel, where client and provider never reach each other: what
# they send goes to a relay, and each sees the relay's address as the other's; the client is behind a NAT of its
# own, and learns its address by STUN. The client's own packets (to the relay, ICE's checks of the provider's
# address, which lead nowhere, to the STUN server, to the arbiter) go outside, marked; a flood of everything that
# could leak goes on, and the gateway counts what the client's wire carries, with kill -9 and a new start behind
# the kill switch in it. vpn_relay.sh
#
#   arbiter 11.0.1.2   web 11.0.2.2   home 11.0.3.2 ── client 192.168.3.2   relay 11.0.4.2 ── provider 192.168.4.2
#        └──────────────────┴─── router ───┴──────────────────────────────────┘
set -euo pipefail
. "$(dirname "$0")/net.sh"
web4=11.0.2.2 web6=2a00:11:0:2::2
ports=30000-30999 stun=11.0.2.3:3478

build_machines() {
    machine arbiter 1
    machine web 2
    ip -n web address add 11.0.2.3/24 dev eth0
    machine home 3
    machine relay 4
    behind client 3 home
    behind provider 4 relay
    on client bash -c 'echo 1 > /proc/sys/net/ipv4/conf/all/rp_filter'
    # Both ways from an address of its own: neither end hears of the other's.
    on relay nft -f - << END
table ip relay {
    chain inward {
        type nat hook prerouting priority dstnat;
        iifname "eth0" udp dport $ports dnat to 192.168.4.2
    }
    chain outward {
        type nat hook postrouting priority srcnat;
        oifname { "eth0", "lan" } masquerade
    }
    # The provider's own check of the client's address could open the way first.
    chain between {
        type filter hook forward priority filter;
        iifname "lan" udp dport $ports ct state new drop
    }
}
END
    on home nft -f - << END
table ip nat {
    chain outward {
        type nat hook postrouting priority srcnat;
        oifname "eth0" masquerade
    }
}
table inet wire {
    counter relayed {
    }
    counter checks {
    }
    counter stun {
    }
    counter arbiter {
    }
    counter rest {
    }
    chain prerouting {
        type filter hook prerouting priority raw;
        iifname != "lan" accept
        ip saddr 192.168.3.2 ip daddr 11.0.4.2 udp sport $ports udp dport $ports counter name relayed accept
        ip saddr 192.168.3.2 ip daddr 192.168.4.2 udp sport $ports udp dport $ports udp length < 200 counter name checks accept
        ip saddr 192.168.3.2 ip daddr 11.0.2.3 udp sport $ports udp dport 3478 counter name stun accept
        ip saddr 192.168.3.2 ip daddr 11.0.1.2 tcp dport 8443 counter name arbiter accept
        icmpv6 type { nd-router-solicit, nd-neighbor-solicit, nd-neighbor-advert, mld-listener-report, mld2-listener-report } accept
        counter name rest
    }
}
END
}

counted() { # COUNTER [bytes]
    on home nft -j list counter inet wire "$1" | jq ".nftables[] | .counter? // empty | .${2:-packets}"
}

no_leak() {
    [[ $(counted rest) == 0 ]] || fail "$1: $(counted rest) packets beside the tunnel"
    step "$1: on the wire $(counted relayed) packets to the relay, $(counted stun) to the STUN server, $(counted arbiter) to the arbiter"
}

up() {
    on client timeout 90 "$program" up --json --key "$scratch/keys/client/key" --arbiter "$join_line" \
        --state "$scratch/client" --dns-upstreams "$web4:53" --stun $stun --ports $ports --wait 60 \
        > "$scratch/up.out" 2> "$scratch/up.log" || fail "ww up: $(cat "$scratch/up.out" "$scratch/client/client.log")"
    pid[client]=$(jq .pid "$scratch/up.out")
}

answers() {
    on client ping -n -c 1 -W 2 "$1" > "$scratch/ping.out" 2>&1
}

is_direct() {
    status client | jq -e '.connections[0].path | .data == "direct" and (.remote | startswith("11.0.4.2:"))'
}

# Through the tunnel, and all of it by the relay.
check_traffic() {
    local relayed
    relayed=$(counted relayed bytes)
    wait_for 10 "an answer of $web4" answers $web4
    on client "$tools/system_exit_peer" tcp $web4 7000 4 500000 || fail "TCP"
    on client "$tools/system_exit_peer" udp $web4 7000 10 1200 1372 5000 || fail "UDP"
    (($(counted relayed bytes) > relayed + 2000000)) || fail "$(($(counted relayed bytes) - relayed)) bytes went to the relay"
    wait_for 20 "data past libnice, to the relay" is_direct
    on client "$tools/system_exit_peer" tcp $web4 7000 4 500000 || fail "TCP, past libnice"
    status provider | jq -e '.connections | all(.path.remote | startswith("192.168.4.1:"))' > /dev/null ||
        fail "the provider's path: $(status provider | jq -c '[.connections[].path]')"
}

build_machines
on web "$tools/system_stun" 11.0.2.3 3478 > "$scratch/stun.log" 2>&1 &
nsenter --net=/run/netns/web "$tools/system_exit_peer" serve 7000 $web4 $web6 > "$scratch/peer.log" 2>&1 &
wait_for 5 "the servers' start" grep -q ready "$scratch/peer.log"
start_arbiter_on --disputes-run-s 2
ln -s client/client.log "$scratch/client.log"
join_on provider
join_on client
start_provider_on provider --stun $stun --ports $ports
cp /etc/resolv.conf /run/resolv.conf 2> /dev/null || echo "nameserver $web4" > /run/resolv.conf
mount --bind /run/resolv.conf /etc/resolv.conf
up
on home nft reset counters > /dev/null
nsenter --net=/run/netns/client "$tools/system_tun" flood eth0 "$web4" "$web6" 100 > "$scratch/flood.out" &
flood=$!
check_traffic
no_leak "up"

node_kill client
sleep 1
! answers $web4 || fail "an answer without a client"
no_leak "after kill -9"
on home nft reset counters > /dev/null
up
check_traffic
(($(counted stun) > 0)) || fail "nothing went to the STUN server"
no_leak "up again, behind the kill switch"
kill -TERM $flood
wait $flood || true
step "sent meanwhile: $(cat "$scratch/flood.out")"
on client timeout 60 "$program" down --json --state "$scratch/client" > "$scratch/down.out" 2>&1 ||
    fail "ww down: $(cat "$scratch/down.out")"
unset "pid[client]"
answers $web4 || fail "nothing gets out after down"
check_books
step "all held"
