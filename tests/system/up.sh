#!/usr/bin/env bash
# `ww up` and `ww down` on a host of their own: a network namespace whose only wire leads to a router that
# counts what comes. From up to down nothing but the client's own packets is on the wire, whatever is sent,
# while the client is killed and comes back; and then the host is, byte for byte, what it was.
# Skipped where namespaces are not allowed.
set -eu
if [[ -z ${UP_INSIDE:-} ]]; then
    if ! unshare --mount --net true 2> /dev/null || [[ ! -w /dev/net/tun ]]; then
        echo "namespaces are not allowed here"
        exit 77
    fi
    UP_INSIDE=1 exec unshare --mount --net --propagation private bash "$0" "$@"
fi
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/lib.sh"

v4=198.51.100.1 v6=2001:db8:ff::1
export WW_LUA=$here/lua/tunnel UP_PEER=$v4
pin=$(printf 'b%.0s' {1..52})
arbiter=(--arbiter "https://localhost:1#$pin")
router=

# --- the network: this namespace is the client's; the router's is held by a process -----------------
host_up() {
    mount -t tmpfs ww /run
    echo "nameserver $v4" > /run/resolv.conf
    mount --bind /run/resolv.conf /etc/resolv.conf
    ip link set lo up
    unshare --net sleep 3600 &
    router=$!
    wait_for 5 "the router's namespace" router_is_there
    ip link add wire type veth peer name far netns "$router"
    ip addr add 10.99.0.2/24 dev wire
    ip addr add 2001:db8:1::2/64 dev wire nodad
    ip link set wire up
    in_router ip link set lo up
    in_router ip addr add 10.99.0.1/24 dev far
    in_router ip addr add "$v4/32" dev lo
    in_router ip addr add 2001:db8:1::1/64 dev far nodad
    in_router ip addr add "$v6/128" dev lo nodad
    in_router ip link set far up
    ip route add default via 10.99.0.1
    ip -6 route add default via 2001:db8:1::1
    wait_for 5 "the wire's own address" eval '! ip addr | has tentative'
    # As strict as a host may be: the answers to the client must pass.
    echo 1 > /proc/sys/net/ipv4/conf/all/rp_filter
    in_router nft -f - << 'RULES'
table inet wire {
    counter own {
    }
    counter rest {
    }
    counter rest6 {
    }
    chain prerouting {
        type filter hook prerouting priority filter;
        iifname != "far" accept
        udp dport 40404 counter name own accept
        icmpv6 type { nd-router-solicit, nd-neighbor-solicit, nd-neighbor-advert, mld-listener-report, mld2-listener-report } accept
        meta nfproto ipv4 counter name rest
        meta nfproto ipv6 counter name rest6
    }
}
RULES
}

router_is_there() {
    [[ $(readlink "/proc/$router/ns/net") != "$(readlink /proc/self/ns/net)" ]]
}

in_router() {
    nsenter --net="/proc/$router/ns/net" "$@"
}

# counted NAME: packets that the router saw.
counted() {
    in_router nft -j list counter inet wire "$1" | jq '.nftables[] | .counter? // empty | .packets'
}

reset() {
    in_router nft reset counters > /dev/null
}

# All that `ww up` could have changed.
snapshot() {
    ip rule
    ip -6 rule
    ip route show table all
    ip -6 route show table all
    ip -o addr
    nft -s list ruleset
    cat /proc/sys/net/ipv4/conf/all/{src_valid_mark,rp_filter} /etc/resolv.conf
    grep -c resolv /proc/self/mountinfo
}

up() {
    timeout 60 "$program" up --json "${arbiter[@]}" "$@" > "$scratch/up.out" 2> "$scratch/up.log" ||
        fail "ww up $*: $(cat "$scratch/up.out")"
    pid[client]=$(jq .pid "$scratch/up.out")
}

down() {
    timeout 60 "$program" down --json > "$scratch/down.out" 2> "$scratch/down.log" ||
        fail "ww down: $(cat "$scratch/down.out")"
}

asks() {
    "$tools/system_tun" ask "$@" > "$scratch/ask.out"
}

# through ADDRESS PORT [USER]: by the tunnel, from its address.
through() {
    asks "$@" || fail "$* does not answer through the tunnel"
    grep -qE '^(192.0.0.2|fd77:7700:77::2)$' "$scratch/ask.out" || fail "$* went from $(cat "$scratch/ask.out")"
}

no_leak() {
    [[ $(counted rest) == 0 && $(counted rest6) == 0 ]] ||
        fail "$1: $(counted rest) and $(counted rest6) packets on the wire"
    step "$1: nothing on the wire but $(counted own) packets of the client"
}

host_up
before=$(snapshot)

# --- without root -------------------------------------------------------------------------------------
code=0
setpriv --reuid 65534 --clear-groups --inh-caps=-all env HOME="$scratch/nobody" /proc/self/fd/9 up --json "${arbiter[@]}" \
    9< "$program" > "$scratch/rootless.out" 2> /dev/null || code=$? # by a descriptor: its folder may be root's
[[ $code == 1 && $(jq -r .error.code "$scratch/rootless.out") == EPERM ]] || fail "rootless: $code $(cat "$scratch/rootless.out")"
jq -r .error.fix "$scratch/rootless.out" | has 'socks5h://' || fail "it does not name the proxy"
step "without root it says what it can't do, and names the proxy"

# --- a client that does not start: why is said, of this start only ---------------------------------------
for _ in 1 2; do
    HOME="$scratch/nobody" "$program" up --json --state "$scratch/none" > "$scratch/none.out" 2> /dev/null && fail "up without an arbiter"
done
[[ $(jq -r .error.reason "$scratch/none.out" | grep -c '\[E[A-Z]*\]') == 1 ]] || fail "why it did not start: $(cat "$scratch/none.out")"
step "a client that does not start says why, once"

# --- down without anything, twice ----------------------------------------------------------------------
down
down
[[ $(snapshot) == "$before" ]] || fail "ww down changed something"

# --- two at once: one client, and both end well -----------------------------------------------------------
timeout 60 "$program" up --json "${arbiter[@]}" > "$scratch/other.out" 2> "$scratch/other.log" &
other=$!
up
wait "$other" || fail "two at once: $(cat "$scratch/other.out")"
jq -es '(map(.started) | sort) == [false, true] and .[0].pid == .[1].pid' "$scratch/other.out" "$scratch/up.out" > /dev/null ||
    fail "two at once: $(cat "$scratch/other.out" "$scratch/up.out")"
down
jq -e '.was_up and .stopped' "$scratch/down.out" > /dev/null || fail "down after two at once: $(cat "$scratch/down.out")"
[[ $(snapshot) == "$before" ]] || fail "not as before: $(diff <(echo "$before") <(snapshot))"
step "two ww up at once are one"

# --- one that is killed before its client answers: the client is its own all the same ----------------------
"$program" up --json "${arbiter[@]}" > "$scratch/other.out" 2> "$scratch/other.log" &
other=$!
wait_for 10 "the client's start" test -s "$XDG_STATE_HOME/ww/client/up.pid"
kill -KILL "$other"
wait "$other" 2> /dev/null && fail "it ended well"
wait_for 20 "the client of a ww up that is gone" eval '"$program" status > "$scratch/status.out" 2>&1'
down
jq -e '.stopped' "$scratch/down.out" > /dev/null || fail "down of a client whose ww up was killed: $(cat "$scratch/down.out")"
[[ $(snapshot) == "$before" ]] || fail "not as before: $(diff <(echo "$before") <(snapshot))"
step "a client whose ww up was killed ends with ww down"

# --- up, again, kill -9, up, down: with traffic all the time ---------------------------------------------
up
jq -e '.started and .kill_switch and .names == "/etc/resolv.conf"' "$scratch/up.out" > /dev/null || fail "$(cat "$scratch/up.out")"
reset
"$tools/system_tun" flood wire "$v4" "$v6" > "$scratch/flood.out" &
flood=$!
through "$v4" 7
through "$v6" 7
# The resolver's address is this host's, where the client listens (dns_inner.sh).
ip route get 192.0.0.1 | has '^local 192.0.0.1 ' || fail "$(ip route get 192.0.0.1)"
ip route get fd77:7700:77::1 | has '^local fd77:7700:77::1 ' || fail "$(ip route get fd77:7700:77::1)"
grep -q '^nameserver 192.0.0.1$' /etc/resolv.conf || fail "resolv.conf: $(cat /etc/resolv.conf)"
wait_for 5 "a packet of the client on the wire" eval '(($(counted own) > 0))'
set_up=$(snapshot)
up
jq -e '.started == false' "$scratch/up.out" > /dev/null || fail "a second client: $(cat "$scratch/up.out")"
[[ $(snapshot) == "$set_up" ]] || fail "a second ww up changed something"
"$program" status --json | jq -e '.nodes[0].host | .kill_switch and .rules and .names' > /dev/null || fail "status"
no_leak "up, twice"

first=$(jq .pid "$scratch/up.out")
kill -KILL "$first"
wait_for 5 "the device's end" eval '! ip link show ww0'
own=$(counted own)
sleep 1
[[ $(counted own) == "$own" ]] || fail "who sends packets of a client that is dead?"
! asks "$v4" 7 || fail "an answer without a client"
"$program" status --json > "$scratch/status.out" 2> /dev/null && fail "a status without a client"
jq -r .error.reason "$scratch/status.out" | has 'kill switch on' || fail "status: $(cat "$scratch/status.out")"
# Without root it can't tell whether root's client runs.
setpriv --reuid 65534 --clear-groups --inh-caps=-all env HOME="$scratch/nobody" /proc/self/fd/9 status --json \
    9< "$program" > "$scratch/status.out" 2> /dev/null && fail "the status of another user's client"
[[ $(jq -r .error.fix "$scratch/status.out") == 'sudo ww status' ]] || fail "status without root: $(cat "$scratch/status.out")"
setpriv --reuid 65534 --clear-groups --inh-caps=-all env HOME="$scratch/nobody" /proc/self/fd/9 flows --json \
    9< "$program" > "$scratch/flows.out" 2> /dev/null && fail "the flows of another user's client"
[[ $(jq -r .error.fix "$scratch/flows.out") == *sudo* ]] || fail "flows without root: $(cat "$scratch/flows.out")"
no_leak "after kill -9"
(($(nft -j list counter inet ww_tunnel refused | jq '.nftables[] | .counter? // empty | .packets') > 0)) || fail "nothing was refused"

up
jq -e '.started' "$scratch/up.out" > /dev/null || fail "no new client"
through "$v4" 7
through "$v6" 7
no_leak "up again"

# --- another configuration: the client that runs has it, or is started again with it -----------------------
first=$(jq .pid "$scratch/up.out")
up --providers 2
jq -e ".started and .pid != $first" "$scratch/up.out" > /dev/null || fail "the client has another configuration: $(cat "$scratch/up.out")"
grep -q 'another value of providers$' "$scratch/up.log" || fail "it does not say why: $(cat "$scratch/up.log")"
through "$v4" 7
for flags in '--providers 2' ''; do
    # shellcheck disable=SC2086
    up $flags
    jq -e '.started | not' "$scratch/up.out" > /dev/null || fail "ww up $flags started the client again"
done
no_leak "started again with another configuration"

# --- lists: changed on a tunnel that is up ----------------------------------------------------------------
up --tunnel-exclude 198.51.100.0/24
! asks "$v4" 7 || fail "an excluded network answers through the tunnel"
(($(counted rest) > 0)) || fail "an excluded network is not reached"
[[ $(counted rest6) == 0 ]] || fail "the other family leaks"
through "$v6" 7
up --tunnel-exclude-users 12345
kill -STOP "$flood"
reset
through "$v4" 7
! asks "$v4" 7 12345 || fail "an excluded user's packet came back"
ip route get 192.0.0.1 uid 12345 | has '^local 192.0.0.1 ' || fail "$(ip route get 192.0.0.1 uid 12345)"
[[ $(counted rest) == 1 ]] || fail "an excluded user: $(counted rest) packets on the wire, not 1"
up --tunnel-include-users 12345 --tunnel-include 203.0.113.0/24
reset
through "$v4" 7 12345
through 203.0.113.5 7
asks "$v4" 7 && fail "who is not included went through the tunnel"
[[ $(counted rest) == 1 ]] || fail "who is not included: $(counted rest) packets on the wire, not 1"
# A rule for everything and one for a network are not taken for each other, neither when one is added nor
# when one is removed.
up --tunnel-include 203.0.113.0/24 --tunnel-include 0.0.0.0/0 --tunnel-include 2001:db8::/32 --tunnel-include ::/0
through "$v4" 7
through "$v6" 7
up --tunnel-include 203.0.113.0/24 --tunnel-include 2001:db8:fe::/48
through 203.0.113.5 7
for address in "$v4" "$v6"; do
    asks "$address" 7 && fail "$address is not included any more, and went through the tunnel"
done
up
reset
through "$v4" 7
through "$v6" 7
kill -CONT "$flood"
sleep 0.5
no_leak "lists changed, and gone"
step "networks and users are included and excluded while it is up"

# --- who is routed for: a guest behind this host, which has its address translated -------------------------
ip netns add guest
ip link add lan type veth peer name eth0 netns guest
ip addr add 10.98.0.1/24 dev lan
ip link set lan up
ip -n guest addr add 10.98.0.2/24 dev eth0
ip -n guest link set eth0 up
ip -n guest route add default via 10.98.0.1
echo 1 > /proc/sys/net/ipv4/ip_forward
echo 2 > /proc/sys/net/ipv4/conf/lan/rp_filter # strict, its network has to be excluded
nft 'add table ip guests; add chain ip guests out { type nat hook postrouting priority srcnat; }
    add rule ip guests out ip saddr 10.98.0.0/24 oifname != "lan" masquerade'
guest_asks() { ip netns exec guest "$tools/system_tun" ask "$v4" 7 > "$scratch/ask.out"; }
guest_asks || fail "a guest gets no answer through the tunnel"
echo 1 > /proc/sys/net/ipv4/conf/lan/rp_filter
up --tunnel-exclude 10.98.0.0/24
guest_asks || fail "a guest in an excluded network gets no answer through the tunnel"
ip link del lan
nft delete table ip guests
echo 0 > /proc/sys/net/ipv4/ip_forward
no_leak "a guest asks through the tunnel"
up

# --- killed while the kill switch is on, and down without a client ----------------------------------------
kill -KILL "$(jq .pid "$scratch/up.out")"
wait_for 5 "the device's end" eval '! ip link show ww0'
no_leak "after another kill -9"
kill -TERM "$flood"
wait "$flood"
step "sent meanwhile: $(cat "$scratch/flood.out")"
down
jq -e '.was_up and (.stopped | not)' "$scratch/down.out" > /dev/null || fail "down: $(cat "$scratch/down.out")"
[[ $(snapshot) == "$before" ]] || fail "not as before: $(diff <(echo "$before") <(snapshot))"
asks "$v4" 40404 || true
(($(counted own) > 0)) || fail "after down nothing gets out"

# --- down ends the client that up has started ----------------------------------------------------------------
up --no-tunnel-kill-switch --no-tunnel-dns
through "$v4" 7
grep -q "$v4" /etc/resolv.conf || fail "resolv.conf was covered"
down
jq -e '.was_up and .stopped' "$scratch/down.out" > /dev/null || fail "down: $(cat "$scratch/down.out")"
wait_for 5 "the client's end" eval '! kill -0 ${pid[client]}'
[[ $(snapshot) == "$before" ]] || fail "not as before: $(diff <(echo "$before") <(snapshot))"
step "down: rules, routes, addresses, filters and names are what they were"

# --- a client that somebody else has started is not ended -----------------------------------------------------
"$program" client "${arbiter[@]}" 2>> "$scratch/client.log" >&2 &
pid[client]=$!
wait_for 5 "the client's start" eval '"$program" status'
code=0
timeout 60 "$program" up --json "${arbiter[@]}" --providers 2 > "$scratch/up.out" 2> /dev/null || code=$?
[[ $code == 1 && $(jq -r .error.code "$scratch/up.out") == ESTATE && $(jq -r .error.reason "$scratch/up.out") == *providers ]] ||
    fail "another's client: $code $(cat "$scratch/up.out")"
[[ $(snapshot) == "$before" ]] || fail "not as before: $(diff <(echo "$before") <(snapshot))"
up
jq -e '.started | not' "$scratch/up.out" > /dev/null || fail "a second client: $(cat "$scratch/up.out")"
down
jq -e '.stopped | not' "$scratch/down.out" > /dev/null || fail "another's client was ended: $(cat "$scratch/down.out")"
kill -TERM "${pid[client]}"
wait "${pid[client]}" || true
step "the client of somebody else goes on as it is"

# --- where systemd-resolved runs, it is told -----------------------------------------------------------------
mkdir -p "$scratch/bin" /run/systemd/resolve
printf '#!/bin/sh\necho "$*" >> %s/resolvectl.out\n' "$scratch" > "$scratch/bin/resolvectl"
chmod +x "$scratch/bin/resolvectl"
: > /run/systemd/resolve/io.systemd.Resolve
echo "nameserver 127.0.0.53" > /run/resolv.conf
PATH=$scratch/bin:$PATH up
[[ $(jq -r .names "$scratch/up.out") == systemd-resolved ]] || fail "$(cat "$scratch/up.out")"
grep -qx 'dns ww0 192.0.0.1 fd77:7700:77::1' "$scratch/resolvectl.out" && grep -qx 'domain ww0 ~.' "$scratch/resolvectl.out" ||
    fail "resolvectl: $(cat "$scratch/resolvectl.out")"
grep -q 127.0.0.53 /etc/resolv.conf || fail "the stub's resolv.conf was covered"
down
wait_for 5 "the client's end" eval '! kill -0 ${pid[client]}'
step "systemd-resolved is told of the tunnel's resolver"
