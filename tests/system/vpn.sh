#!/usr/bin/env bash
# `ww up` with a whole market: a client, a provider, an arbiter and a
# host on the internet, in network namespaces around a router that counts what the client's wire carries.
# Its traffic goes through, names and both ways and in both families, and nothing but its packets to the arbiter and to
# the provider is on the wire while the client is killed and comes back. Skipped where namespaces are not
# allowed.
#
#   arbiter 11.0.1.2   provider 11.0.2.2   web 11.0.3.2   client 11.0.4.2     (and 2a00:11:0:N::2)
#        └──────────────────┴──── router ─────┴──────────────┘
set -eu
if [[ -z ${VPN_INSIDE:-} ]]; then
    if ! command -v dnsmasq iperf3 dig > /dev/null || ! unshare --mount --net true 2> /dev/null || [[ ! -w /dev/net/tun ]]; then
        echo "needs dnsmasq-base, bind9-dnsutils, iperf3, namespaces and TUN devices"
        exit 77
    fi
    VPN_INSIDE=1 exec unshare --mount --net --pid --fork --kill-child --mount-proc --propagation private bash "$0" "$@"
fi
mount -t tmpfs ww /run
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
unset XDG_RUNTIME_DIR
web4=11.0.3.2 web6=2a00:11:0:3::2
near4=11.0.3.3 near6=2a00:11:0:3::3 # another host, which a policy excludes

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

# Not `ip netns exec`: that would be in a mount namespace of its own. In the background, nsenter itself, as it
# becomes the program that a signal is for.
on() {
    local name=$1
    shift
    nsenter --net="/run/netns/$name" "$@"
}

forward() {
    echo 1 > /proc/sys/net/ipv4/ip_forward
    echo 1 > /proc/sys/net/ipv6/conf/all/forwarding
}
export -f forward

build_machines() {
    local number=0 name
    echo "nameserver $web4" > /run/resolv.conf
    mount --bind /run/resolv.conf /etc/resolv.conf
    ip link set lo up
    forward
    for name in arbiter provider web client; do
        number=$((number + 1))
        machine "$name" "$number"
    done
    ip -n web address add "$near4/24" dev eth0
    ip -n web address add "$near6/64" dev eth0 nodad
    on client bash -c 'echo 1 > /proc/sys/net/ipv4/conf/all/rp_filter'
    nft -f - << 'END'
# Devices that a node has made are no candidates: no check goes to the exit's.
table inet wire {
    counter own {
    }
    counter rest {
    }
    counter excluded {
    }
    chain prerouting {
        type filter hook prerouting priority filter;
        iifname != "to-client" accept
        ip daddr 11.0.1.2 tcp dport 8443 counter name own accept
        ip daddr 11.0.2.2 meta l4proto udp counter name own accept
        ip6 daddr 2a00:11:0:2::2 meta l4proto udp counter name own accept
        ip saddr 11.0.4.2 ip daddr 11.0.3.3 counter name excluded accept
        ip6 saddr 2a00:11:0:4::2 ip6 daddr 2a00:11:0:3::3 counter name excluded accept
        icmpv6 type { nd-router-solicit, nd-neighbor-solicit, nd-neighbor-advert, mld-listener-report, mld2-listener-report } accept
        counter name rest log prefix "leak "
    }
}
END
}

start_on() { # NAME FLAGS…
    local name=$1
    shift
    nsenter --net="/run/netns/$name" "$program" "$@" --state "$scratch/$name" 2>> "$scratch/$name.log" >&2 &
    pid[$name]=$!
}

join_on() { # NAME NETWORK
    "$program" key new --key "$scratch/keys/$1/key" > "$scratch/key.out" 2>&1 || fail "key new"
    on "$1" "$program" join "$join_line" "$2" --key "$scratch/keys/$1/key" > "$scratch/join.out" 2>&1 ||
        fail "join $2: $(cat "$scratch/join.out")"
}

start_provider_on() { # FLAGS…
    start_on provider provider --key "$scratch/keys/provider/key" --arbiter "$join_line" "$@"
    wait_for 20 "the provider's start" is_ready provider
}

start_nodes() {
    nsenter --net=/run/netns/web dnsmasq --keep-in-foreground --conf-file=/dev/null --no-resolv --no-hosts \
        --no-ping --listen-address="$web4" --bind-interfaces --user=root --pid-file= \
        --host-record="plain.example,$web4" --host-record="web.example,$web4,$web6" \
        --host-record="near.example,$near4,$near6" --host-record=arbiter.example,11.0.1.2 > "$scratch/dnsmasq.log" 2>&1 &
    wait_for 10 "the name server's start" finds arbiter.example 11.0.1.2
    start_on arbiter arbiter --listen 0.0.0.0:8443 --url https://arbiter.example:8443 --hosts arbiter.example
    wait_for 20 "the arbiter's start" is_ready arbiter
    join_line=$(call arbiter join.line | jq -r .line)
    join_on provider bobnet
    join_on client alicenet
    credit alicenet 100000000000
    start_provider_on --egress-mode none
    nsenter --net=/run/netns/web iperf3 -s > "$scratch/iperf.log" 2>&1 &
}

up() { # FLAGS…
    on client timeout 90 "$program" up --json --key "$scratch/keys/client/key" --arbiter "$join_line" \
        --state "$scratch/client" --dns-upstreams "$web4:53" --wait 60 "$@" > "$scratch/up.out" 2> "$scratch/up.log" ||
        fail "ww up: $(cat "$scratch/up.out" "$scratch/client/client.log")"
    pid[client]=$(jq .pid "$scratch/up.out")
    jq -e '.round_trip_us > 0 and .round_trip_us < 5000000' "$scratch/up.out" > /dev/null || fail "no round trip: $(cat "$scratch/up.out")"
}

down() {
    on client timeout 60 "$program" down --json --state "$scratch/client" > "$scratch/down.out" 2> "$scratch/down.log" ||
        fail "ww down: $(cat "$scratch/down.out")"
}

counted() {
    nft -j list counter inet wire "$1" | jq '.nftables[] | .counter? // empty | .packets'
}

pings() {
    on client ping -n -c 1 -W 2 "$1" > "$scratch/ping.out" 2>&1
}

finds() {
    [[ $(on client timeout 10 getent ahostsv4 "$1" | awk '/STREAM/ { print $1 }') == "$2" ]]
}

check_traffic() {
    local address
    wait_for 10 "a name's address" finds web.example "$web4"
    for address in $web4 $web6; do
        wait_for 10 "an answer of $address" pings "$address"
        # Well within a contract: after a kill two closes differ, and the next one waits for the verdict.
        on client timeout 20 iperf3 -J --connect-timeout 5000 -c "$address" -n 4M -R > "$scratch/iperf.json" ||
            fail "TCP from $address: $(jq -r .error "$scratch/iperf.json")"
        (($(jq .end.sum_received.bytes "$scratch/iperf.json") > 4000000)) || fail "too little came from $address"
        step "$address answers through the tunnel, $(jq '.end.sum_received.bits_per_second / 1e6 | floor' "$scratch/iperf.json") Mbit/s"
    done
}

# As any program does: by /etc/resolv.conf and the C library.
check_names() {
    on client timeout 20 getent ahosts web.example > "$scratch/names.out" || fail "no names: $(call client dns.status)"
    grep -q "^$web4 " "$scratch/names.out" && grep -q "^$web6 " "$scratch/names.out" || fail "names: $(cat "$scratch/names.out")"
    step "names are found by the resolver in the tunnel"
}

no_leak() {
    [[ $(counted rest) == 0 ]] || fail "$1: $(counted rest) packets beside the tunnel: $(dmesg 2> /dev/null | grep 'leak ' | tail -3)"
    step "$1: nothing on the wire but $(counted own) packets to the arbiter and to the provider"
}

snapshot() {
    on client bash -c 'ip rule; ip -6 rule; ip route show table all; ip -6 route show table all; ip -o addr
        nft -s list ruleset; cat /proc/sys/net/ipv4/conf/all/src_valid_mark /etc/resolv.conf'
}

# What a provider's egress changes on its host.
exit_snapshot() {
    on provider bash -c 'nft -s list ruleset; ip rule; ip -6 rule; ip route show table all; ip -6 route show table all
        ip -o addr; cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv6/conf/all/forwarding'
}

# --- a name that the policy excludes: its addresses are reached as without a tunnel, and no others ------
excluded_left() { # SET ADDRESS: for how many seconds more; nothing if it isn't
    on client nft -j list set inet ww_tunnel "$1" | jq --arg address "$2" '.nftables[].set? // empty | .elem[]?.elem |
        select(.val == $address) | .expires'
}

check_excluded() {
    local address excluded=0 left
    ! pings "$near4" || [[ $(counted excluded) == 0 ]] || fail "an address is outside before its name was asked for"
    wait_for 10 "a name's address" finds near.example "$near4"
    on client timeout 20 getent ahosts near.example | has "^$near6 " || fail "near.example has no IPv6 address"
    for address in $near4 $near6; do
        on client timeout 20 iperf3 -J --connect-timeout 5000 -c "$address" -n 1M -R > "$scratch/iperf.json" ||
            fail "TCP from $address: $(jq -r .error "$scratch/iperf.json")"
        pings "$address" || fail "no answer of $address outside: $(cat "$scratch/ping.out")"
        (($(counted excluded) > excluded + 10)) || fail "$address is not reached on the wire: $(counted excluded) packets"
        excluded=$(counted excluded)
    done
    on client "$program" dns excluded --state "$scratch/client" | has -E "^near.example +$near4 +[0-9]+" ||
        fail "ww dns excluded: $(call client dns.excluded)"
    on client "$program" status --state "$scratch/client" | has -E '^ +past the tunnel +2 addresses' ||
        fail "ww status says nothing of excluded names: $("$program" status --state "$scratch/client")"
    excluded=$(counted excluded)
    on client dig "@$near4" +time=1 +tries=1 web.example > "$scratch/dig.out" 2>&1 || true
    [[ $(counted excluded) == "$excluded" ]] || fail "a question for a name went outside, to an excluded address"
    left=$(excluded_left excluded_v4 "$near4")
    ((left > 0 && left <= 60)) || fail "it is excluded for $left s"
    step "$excluded packets of an excluded name are on the wire"
    on client nft -f - << END
delete element inet ww_tunnel excluded_v4 { $near4 }
add element inet ww_tunnel excluded_v4 { $near4 timeout 2s }
END
    # What has begun outside stays there: one ping is one connection.
    on client ping -n -c 15 -i 0.2 -W 2 "$near4" > "$scratch/ping.out" || fail "a connection broke with its time: $(cat "$scratch/ping.out")"
    (($(counted excluded) >= excluded + 15)) || fail "a connection changed its way: $(counted excluded) packets"
    check_not_excluded "after its time"
}

check_not_excluded() {
    local excluded
    excluded=$(counted excluded)
    wait_for 10 "an answer of $near4 through the tunnel" pings "$near4"
    [[ $(counted excluded) == "$excluded" ]] || fail "$1: an address is reached outside"
    step "$1 a name's packets are in the tunnel"
}

build_machines
start_nodes
wait_for 5 "the wire's own address" eval '! ip -n client addr | has tentative'
before=$(snapshot)

# --- a provider that takes no packets -----------------------------------------------------------------
code=0
on client timeout 90 "$program" up --json --key "$scratch/keys/client/key" --arbiter "$join_line" --state "$scratch/client" \
    > "$scratch/up.out" 2> "$scratch/up.log" || code=$?
[[ $code == 1 && $(jq -r .error.code "$scratch/up.out") == EUNSUPPORTED ]] || fail "a provider without egress: $code $(cat "$scratch/up.out")"
pings "$web4" || fail "a failed ww up cut this host off"
down
[[ $(snapshot) == "$before" ]] || fail "a failed ww up changed the host: $(diff <(echo "$before") <(snapshot))"
node_stop provider
exit_before=$(exit_snapshot)
start_provider_on --egress-mode kernel
[[ $(exit_snapshot) != "$exit_before" ]] || fail "there is no exit"
step "a provider that takes no packets is named, and the host is as before"
code=0
nsenter --net=/run/netns/provider setpriv --bounding-set=-net_admin "$program" provider --json --egress-mode kernel \
    --key "$scratch/keys/provider/key" --arbiter "$join_line" --state "$scratch/unable" > "$scratch/unable.out" 2>&1 || code=$?
[[ $code == 1 ]] && grep -q "can't let packets out" "$scratch/unable.out" && grep -q "egress-mode auto" "$scratch/unable.out" ||
    fail "a provider without rights: $code $(cat "$scratch/unable.out")"
step "a provider that may not use the kernel's way says so"

# --- a client that was started without the right to make a device --------------------------------------
nsenter --net=/run/netns/client setpriv --bounding-set=-net_admin "$program" client --key "$scratch/keys/client/key" \
    --arbiter "$join_line" --state "$scratch/client" 2>> "$scratch/client.log" >&2 &
pid[client]=$!
wait_for 20 "the client's start" is_ready client
code=0
on client timeout 60 "$program" up --json --state "$scratch/client" > "$scratch/up.out" 2> "$scratch/up.log" || code=$?
[[ $code == 1 && $(jq -r .error.code "$scratch/up.out") == EPERM && $(jq -r .error.fix "$scratch/up.out") == *"End that client"* ]] ||
    fail "a client without rights: $code $(cat "$scratch/up.out")"
node_stop client
step "a client that may not make a device is told from one that may"

# --- up -----------------------------------------------------------------------------------------------
mkdir "$scratch/rules"
sed 's/"bank.example"/"near.example"/' "$here/../../examples/policies/exclude-by-name/dns.lua" > "$scratch/rules/dns.lua"
excluding=(--policies "$scratch/rules" --tunnel-exclude-by-policy)
up "${excluding[@]}"
nft reset counters > /dev/null
nsenter --net=/run/netns/client "$tools/system_tun" flood eth0 "$web4" "$web6" 100 > "$scratch/flood.out" &
flood=$!
check_traffic
check_names
"$program" status --state "$scratch/client" | has -E '^  tunnel +ww0, the provider takes packets; [0-9.]+ [KM]iB up, [0-9.]+ MiB down, [0-9.]+ ms there and back' ||
    fail "ww status says nothing of packets: $("$program" status --state "$scratch/client")"
check_excluded
no_leak "up"
kill -KILL "${pid[client]}"
sleep 1
! pings "$web4" || fail "an answer without a client"
! finds web.example "$web4" || fail "a name's address without a client"
excluded=$(counted excluded)
[[ -n $(excluded_left excluded_v6 "$near6") ]] || fail "a kill took the sets away"
! pings "$near6" && [[ $(counted excluded) == "$excluded" ]] || fail "an excluded address is reached without a client"
no_leak "after kill -9"
# Its name can't be asked for now: the resolver was in the tunnel.
up "${excluding[@]}"
[[ -z $(excluded_left excluded_v6 "$near6") ]] || fail "ww up left what a killed client had excluded"
wait_for 10 "a name's address" finds near.example "$near4"
[[ -n $(excluded_left excluded_v4 "$near4") ]] || fail "nothing is excluded after a kill"
sed -i 's/"near.example"/"far.example"/' "$scratch/rules/dns.lua"
"$program" policy reload --state "$scratch/client" > /dev/null
nothing_is_excluded() { [[ -z $(excluded_left excluded_v4 "$near4") ]]; }
wait_for 5 "other policies to exclude nothing, without a question for a name" nothing_is_excluded
[[ $(cat "$scratch/client/arbiter.address") == "arbiter.example 11.0.1.2" ]] || fail "the arbiter's address is not kept"
check_traffic
up
wait_for 10 "a name's address" finds near.example "$near4"
check_not_excluded "without tunnel.exclude_by_policy"
no_leak "up again"
kill -TERM "$flood"
wait "$flood"
step "sent meanwhile: $(cat "$scratch/flood.out")"
down
jq -e '.was_up and .stopped' "$scratch/down.out" > /dev/null || fail "down: $(cat "$scratch/down.out")"
unset "pid[client]"
[[ $(snapshot) == "$before" ]] || fail "not as before: $(diff <(echo "$before") <(snapshot))"
pings "$web4" || fail "nothing gets out after down"

# --- a provider that is killed ------------------------------------------------------------------------
node_kill provider
! ip -n provider link show wwexit0 > /dev/null 2>&1 || fail "the exit's device outlives its provider"
start_provider_on --egress-mode kernel
[[ $(exit_snapshot) != "$exit_before" ]] || fail "there is no exit after a kill"
node_stop provider
[[ $(exit_snapshot) == "$exit_before" ]] || fail "a killed provider left: $(diff <(echo "$exit_before") <(exit_snapshot))"
step "a killed provider leaves nothing that its next run does not take away"
check_books
step "all held"
