#!/usr/bin/env bash
# The resolver inside the tunnel: the client listens on 192.0.0.1 and its IPv6 sister as soon as the
# device has them, by UDP and TCP, for programs that only know /etc/resolv.conf, too; another host that
# sends there gets no answer; it goes with the tunnel. In a network namespace of its own.
set -euo pipefail
self=$(realpath "$0")
if [[ -z ${DNS_INSIDE:-} ]]; then
    user=()
    (($(id -u) == 0)) || user=(--user --map-root-user)
    if ! command -v dnsmasq dig > /dev/null ||
        ! unshare "${user[@]}" --mount --net bash -c 'mount -t tmpfs none /run && ip netns add probe &&
            ip tuntap add probe mode tun' 2> /dev/null; then
        echo "needs dnsmasq-base, bind9-dnsutils, namespaces and TUN devices"
        exit 77
    fi
    DNS_INSIDE=1 exec unshare "${user[@]}" --mount --net --pid --fork --kill-child --mount-proc bash "$self" "$@"
fi
mount -t tmpfs none /run
. "$(dirname "$self")/lib.sh"
inner4=192.0.0.1 inner6=fd77:7700:77::1

ip link set lo up
ip netns add other
ip link add to-other type veth peer name eth0 netns other
ip address add 11.0.1.1/24 dev to-other
ip link set to-other up
ip -n other address add 11.0.1.2/24 dev eth0
ip -n other link set eth0 up
ip -n other route add $inner4 via 11.0.1.1
dnsmasq --keep-in-foreground --conf-file=/dev/null --no-resolv --no-hosts --no-ping --port=5300 \
    --listen-address=127.0.0.1 --bind-interfaces --user=root --pid-file= --local-ttl=300 --local=/example/ \
    --log-queries --log-facility="$scratch/queries" --host-record=plain.example,93.184.216.34 \
    --txt-record=long.example,"$(printf 'x%.0s' {1..250})" > "$scratch/dnsmasq.log" 2>&1 &

start_arbiter
join provider bobnet
join client alicenet
credit alicenet 100000000000
start_provider
start_client --dns-upstreams 127.0.0.1:5300
listens() {
    call client dns.status | jq -e ".listen == $1"
}
call client tunnel.open '{"device":"ww0"}' > /dev/null || fail "tunnel.open"
listens '[]' > /dev/null || fail "it listens without an address: $(call client dns.status)"
ip link set ww0 up
ip address add 192.0.0.2/32 dev ww0
ip address add $inner4/32 dev ww0
ip address add $inner6/128 dev ww0 nodad
wait_for 5 "the resolver in the tunnel" listens "[\"$inner4:53\", \"[$inner6]:53\"]"
step "it listens once the device has the addresses"

for address in $inner4 $inner6; do
    for how in +notcp +tcp; do
        [[ $(dig @$address +time=9 +tries=1 $how plain.example +short) == 93.184.216.34 ]] ||
            fail "$address $how: $(dig @$address +time=2 +tries=1 $how plain.example)"
    done
done
# Whatever else is in the system's own, a program finds the name.
printf 'nameserver %s\n' $inner4 > "$scratch/resolv.conf"
mount --bind "$scratch/resolv.conf" /etc/resolv.conf
[[ $(getent ahostsv4 plain.example | awk '/STREAM/ { print $1 }') == 93.184.216.34 ]] || fail "getent"
step "names are found, by UDP and TCP, IPv4 and IPv6, and by the C library"

# What goes to that address from now on has the name; nobody answers here, and nobody has to.
ip route add 93.184.216.34 dev ww0 src 192.0.0.2
ping -c 1 -W 1 93.184.216.34 > "$scratch/ping.out" 2>&1 || true
call client flows.list | jq -e '.flows[] | select(.address == "93.184.216.34") |
    .name == "plain.example" and .name_from == "answer"' > /dev/null || fail "$(call client flows.list)"
step "a flow has the name that was asked for"

asks=$(call client dns.status | jq .asks)
for how in +notcp +tcp; do
    ip netns exec other dig @$inner4 +time=1 +tries=1 $how plain.example +short > "$scratch/other.out" 2>&1 &&
        grep -q 93.184 "$scratch/other.out" && fail "another host got an answer"
done
[[ $(call client dns.status | jq .asks) == "$asks" ]] || fail "another host's question was taken"
step "another host gets no answer"

ip address del $inner4/32 dev ww0
ip address add $inner4/32 dev ww0
[[ $(dig @$inner4 +time=9 +tries=1 plain.example +short) == 93.184.216.34 ]] || fail "after the address came back"
call client tunnel.close > /dev/null || fail "tunnel.close"
listens '[]' > /dev/null || fail "it listens without a tunnel: $(call client dns.status)"
node_stop client
node_stop provider
node_stop arbiter
step "all held"
