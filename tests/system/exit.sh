#!/bin/bash
# The egress for packets in network namespaces, without peers: what two clients send comes back, in
# every protocol and both families; refusals, limits, fairness; a killed provider leaves nothing behind.
# exit.sh kernel|user [SECONDS]: with rights to the network, or as nobody; how long a load lasts.
#
#   one, two (TUN "cl0") ── provider 203.0.113.2 ── internet 203.0.113.1, 198.51.100.1, 2001:db8:2::1
#            (both by exception), 11.0.9.1, 2a00:11::1, and 10.55.0.1, which nobody may reach
set -euo pipefail
self=$(realpath "$0")
mode=${1:?kernel or user}
load_s=${2:-2}

if [[ -z ${EXIT_INSIDE:-} ]]; then
    user=() root=yes
    (($(id -u) == 0)) || user=(--user --map-root-user) root=
    # shellcheck disable=SC2016
    if ! unshare "${user[@]}" --mount --net bash -c 'mount -t tmpfs none /run && nft add table ip probe &&
        ip netns add probe && ip tuntap add probe0 mode tun' 2> /dev/null; then
        echo "namespaces, nftables or TUN devices are not allowed here"
        exit 77
    fi
    if [[ $mode = user ]] && ! unshare --user --net true 2> /dev/null; then
        echo "user namespaces are not allowed here"
        exit 77
    fi
    EXIT_INSIDE=1 EXIT_ROOT=$root exec unshare "${user[@]}" --mount --net --pid --fork --kill-child \
        --mount-proc bash "$self" "$@"
fi

mount -t tmpfs none /run
. "$(dirname "$self")/lib.sh"
chmod 755 "$scratch"
v4=198.51.100.1 v6=2001:db8:2::1 port=7777

on() {
    local name=$1
    shift
    ip netns exec "$name" "$@"
}

peer() { # NAMESPACE ARGUMENT…
    on "$1" timeout 60 "$tools/system_exit_peer" "${@:2}" || fail "$* ended with $?"
}

# --- machines ---------------------------------------------------------------------------------------

for name in provider internet one two; do
    ip netns add "$name"
    ip -n "$name" link set lo up
done
ip -n provider link add up0 type veth peer name in0 netns internet
for end in "provider up0 2" "internet in0 1"; do
    read -r name device number <<< "$end"
    ip -n "$name" addr add "203.0.113.$number/24" dev "$device"
    ip -n "$name" addr add "2001:db8:1::$number/64" dev "$device" nodad
    ip -n "$name" link set "$device" up
done
ip -n provider route add default via 203.0.113.1
ip -n provider -6 route add default via 2001:db8:1::1
for address in $v4/32 10.55.0.1/32 11.0.9.1/32 $v6/128 2a00:11::1/128; do
    ip -n internet addr add $address dev lo
done
ip -n internet route add blackhole 198.51.100.7 # swallows without a word
on provider sysctl -qw net.ipv4.ping_group_range="0 65535"
on internet "$tools/system_exit_peer" serve $port $v4 $v6 > "$scratch/serve.log" 2>&1 &
wait_for 5 "the internet" grep -q ready "$scratch/serve.log"

# A device file that everybody may open, as desktops and servers have it; build machines may not.
as_nobody=()
if [[ $mode = user && -n $EXIT_ROOT ]]; then
    as_nobody=(-u)
    mknod -m 666 /run/tun c 10 200
    mount --bind /run/tun /dev/net/tun
fi

# --- the provider -----------------------------------------------------------------------------------

folder=$scratch/folder
mkdir -m 777 "$folder"
exit_pid='' started=0 older=()

up() { # ARGUMENT…
    local name log
    started=$((started + 1))
    log=$scratch/exit.$started.log
    ip netns exec provider "${older[@]}" "$tools/system_exit" "$mode" "$folder" "${as_nobody[@]}" -a 198.51.100.0/24 \
        -a 2001:db8:2::/48 "$@" /run/netns/one /run/netns/two > "$log" 2>&1 &
    exit_pid=$!
    wait_for 10 "the provider" grep -q "\"mode\":\"$mode\"" "$log"
    for name in one two; do
        ip -n $name addr add 192.0.0.2/32 dev cl0
        ip -n $name addr add fd77:77::2/128 dev cl0 nodad
        ip -n $name link set cl0 up mtu 1400
        ip -n $name route add default dev cl0
        ip -n $name -6 route add default dev cl0
    done
}

down() {
    kill -TERM $exit_pid
    wait $exit_pid || fail "the provider ended with $?"
}

count() { # FIELD
    local log=$scratch/exit.$started.log lines
    lines=$(wc -l < "$log")
    more() { (($(wc -l < "$log") > lines)); }
    kill -USR1 $exit_pid
    wait_for 5 "a count" more
    tail -n 1 "$log" | jq -c "$1"
}

rules() { on provider nft list tables; }

forwarding() {
    on provider bash -c 'cat /proc/sys/net/ipv4/conf/up0/forwarding \
        /proc/sys/net/ipv6/conf/all/forwarding /proc/sys/net/ipv6/conf/up0/force_forwarding' 2> /dev/null |
        tr '\n' ' '
}
forwarding_before=$(forwarding)

# --- what goes through ------------------------------------------------------------------------------

step "$mode: everything that is carried, in both families"
up
for address in $v4 $v6; do
    on one ping -q -c 3 -i 0.2 -W 2 $address > /dev/null || fail "no echo of $address"
    on one ping -q -c 2 -i 0.2 -W 2 -s 3000 $address > /dev/null || fail "no large echo of $address"
    peer one tcp $address $port 1 2000000
    peer one udp $address $port 0 1 100 1372 1400 1472 5000 60000
    peer one refused $address 4444
    peer one closed $address 4444
done

step "200 connections at once, of two clients"
peer two tcp $v4 $port 100 20000 &
other=$!
peer one tcp $v6 $port 100 20000
wait $other || fail "the other client's connections"

step "a connection that is not read holds up no other"
peer one slow $v4 $port 8000000

reaches() { # ADDRESS
    on one timeout 1 bash -c "exec 3<>/dev/tcp/$1/$port" 2> /dev/null
}
step "what may not be reached is not"
ip netns exec provider "$tools/system_exit_peer" serve $port > "$scratch/host.log" 2>&1 &
wait_for 5 "a port of the host" grep -q ready "$scratch/host.log"
reaches 10.55.0.1 && fail "a private address"
reaches 203.0.113.2 && fail "the host itself"
down
# The judge is not the only one who knows.
up -x
reaches 10.55.0.1 && fail "a private address, without the judge"
reaches 203.0.113.2 && fail "the host itself, without the judge"
reaches 10.119.0.1 && fail "the device's end, without the judge"
reaches $v4 || fail "an exception, without the judge"
reaches 11.0.9.1 || fail "the internet, without the judge"
reaches 2a00:11::1 || fail "the internet's IPv6, without the judge"
down
up -x -a 10.55.0.0/16
reaches 10.55.0.1 || fail "an exception"

if [[ $mode = kernel ]]; then
    step "what the kernel holds of datagrams that don't end"
    held() { on provider sed -n 's/^FRAG: inuse [0-9]* memory //p' /proc/net/sockstat; }
    peer one unended 11.0.9.1 cl0 2500
    (($(held) < 1048576)) || fail "$(held) bytes for fragments"
    peer two udp $v4 $port 3000

    on provider nft list table inet ww-wwexit0 > "$scratch/rules.log"
    grep -q "flags owner" "$scratch/rules.log" || echo "    this kernel has no owner flag"
    [[ $(forwarding) != "$forwarding_before" ]] || fail "forwarding was not switched on"

    step "the table comes back when its holder is killed"
    nft_pid=$(pgrep -P $exit_pid -x nft) || fail "nobody holds the table"
    kill -KILL "$nft_pid"
    back() { [[ -n $(rules) ]] && [[ $(pgrep -P $exit_pid -x nft) != "$nft_pid" ]]; }
    wait_for 15 "the table's return" back
    reaches 11.0.9.1 || fail "the internet, with a new table"
    reaches 203.0.113.2 && fail "the host itself, with a new table"

    step "killed, it leaves no table, and the next start undoes the rest"
    kill -KILL $exit_pid
    wait $exit_pid 2> /dev/null || true
    if grep -q "flags owner" "$scratch/rules.log"; then
        gone() { [[ -z $(rules) ]]; }
        wait_for 5 "the table's end" gone
    fi
    [[ -s $folder/exit-forwarding ]] || fail "nothing is noted"
    up
    peer one tcp $v4 $port 1 100000
    down
    gone() { [[ -z $(rules) ]]; }
    wait_for 5 "the table's end" gone
    [[ $(forwarding) = "$forwarding_before" ]] ||
        fail "forwarding is $(forwarding), not $forwarding_before"
    [[ ! -e $folder/exit-forwarding ]] || fail "a note is left"

    step "the same on an older kernel: no owner flag, one switch for all of IPv6"
    cat > /run/nft << 'END'
#!/bin/bash
[[ ${1:-} = -i ]] || exec /run/nft.real "$@"
sed -u 's/.*flags owner.*/refused/' | /run/nft.real -i
END
    chmod 755 /run/nft
    cp "$(command -v nft)" /run/nft.real
    mount --bind /run/nft "$(command -v nft)"
    on provider ip tuntap add wwexit0 mode tun vnet_hdr
    : > /run/none
    for name in wwexit0 up0; do
        # The one that `ip netns exec` sees is that of the namespace.
        [[ ! -e /proc/sys/net/ipv6/conf/$name/force_forwarding ]] || fail "$name is here, too"
    done
    older=(bash -c 'for name in wwexit0 up0; do
        file=/proc/sys/net/ipv6/conf/$name/force_forwarding
        [[ ! -e $file ]] || mount --bind /run/none $file; done; exec "$@"' older)
    accept_ra() { on provider cat /proc/sys/net/ipv6/conf/up0/accept_ra; }
    ra_before=$(accept_ra)
    up
    rules | has ww-wwexit0 || fail "no table"
    on provider nft list table inet ww-wwexit0 | has owner && fail "a table with an owner"
    [[ $(forwarding) = "1 1 "* ]] || fail "forwarding is $(forwarding)"
    ((ra_before != 1 || $(accept_ra) == 2)) || fail "accept_ra is $(accept_ra)"
    peer one tcp $v4 $port 1 100000
    peer one tcp $v6 $port 1 100000
    kill -KILL $exit_pid
    wait $exit_pid 2> /dev/null || true
    rules | has ww-wwexit0 || fail "the table has gone, who removed it?"
    up
    peer one tcp $v6 $port 1 100000
    down
    wait_for 5 "the table's end" gone
    [[ $(forwarding) = "$forwarding_before" && $(accept_ra) = "$ra_before" ]] ||
        fail "forwarding is $(forwarding), not $forwarding_before; accept_ra $(accept_ra), not $ra_before"
    on provider ip link del wwexit0
    older=()

    step "an nft that takes its time and says no holds up nothing, and is said once"
    cat > /run/nft << 'END'
#!/bin/bash
[[ ${1:-} = -i ]] || exec /run/nft.real "$@"
for _ in {1..40}; do
    [[ ! -e /run/slow ]] || sleep 0.1
done
exec /run/nft.real -i < <(exec sed -u "$(cat /run/script)")
END
    echo 's/^table .*/refused/' > /run/script
    ip netns exec provider "$tools/system_exit" auto "$folder" /run/netns/one > "$scratch/auto.log" 2>&1 &
    exit_pid=$!
    wait_for 10 "the other way" grep -Eq '"mode":"(user|none)".*Error' "$scratch/auto.log"
    down
    touch /run/slow
    ip netns exec provider "$tools/system_exit" kernel "$folder" /run/netns/one > "$scratch/no.log" 2>&1 &
    exit_pid=$!
    answers() { kill -USR1 $exit_pid && grep -q '"out":0' "$scratch/no.log"; }
    # Without its handler the signal ends it.
    catches() { ((0x$(awk '/^SigCgt:/ { print $2 }' "/proc/$exit_pid/status") & 0x200)); }
    wait_for 3 "its handlers" catches
    wait_for 3 "an answer while nft is silent" answers
    grep -q Error "$scratch/no.log" && fail "nft has answered already"
    rm /run/slow
    refused() { grep -q 'No packet goes out.*Error' "$scratch/no.log"; }
    wait_for 10 "the answer of nft" refused
    [[ $(forwarding) = "$forwarding_before" ]] || fail "forwarding is $(forwarding) without a table"
    ((load_s <= 2)) || sleep 5.5 # it tries again, and is refused again
    (($(grep -c 'No packet goes out' "$scratch/no.log") == 1)) || fail "$(cat "$scratch/no.log")"

    step "what nft refuses later takes the table away, and another one is made"
    echo 's/^add element.*/refused/' > /run/script
    wait_for 10 "the kernel's way" grep -q '"mode":"kernel"' "$scratch/no.log"
    ip -n provider link add up1 type veth peer name up2
    ip -n provider link set up1 up
    ip -n provider addr add 192.0.2.9/24 dev up1
    ip -n provider route add default dev up1 metric 9999
    more() { (($(grep -c 'No packet goes out.*Error' "$scratch/no.log") == 2)); }
    wait_for 10 "that it is said" more
    again() { (($(grep -c 'The nftables table is in place' "$scratch/no.log") == 2)); }
    wait_for 10 "another table" again
    on provider nft list set inet ww-wwexit0 turned_v4 | has up1 || fail "it doesn't know the interface"
    down
    ip -n provider link del up1
    umount "$(command -v nft)"
else
    down
fi

# --- limits -----------------------------------------------------------------------------------------

step "limits of a client, and not of the other"
up -l flows=50 -l opens=1000
peer one spray 198.51.100.7 20000 80
(($(count .flows) == 50)) || fail "flows: $(count .)"
(($(count .refused_flows) == 30)) || fail "refused flows: $(count .)"
peer two udp $v4 $port 100
down
up -l opens=20
peer one spray 198.51.100.7 20000 100
refused=$(count .refused_opens)
((refused >= 40 && refused <= 60)) || fail "refused opens: $(count .)"
down

if [[ $mode = kernel ]]; then
    step "what a client leaves is left to nobody: the kernel forgets it, too"
    remembered() { on provider sysctl -n net.netfilter.nf_conntrack_count; }
    # It remembers as long as some table asks it.
    on provider nft 'add table inet keep; add chain inet keep watch { type filter hook forward priority 9; }
        add rule inet keep watch ct state new counter'
    before=$(remembered)
    up -l opens=1000
    peer one spray 198.51.100.7 20000 60
    on one ping -q -c 1 -W 2 $v4 > /dev/null || fail "no echo of $v4"
    on one ping -q -c 1 -W 2 $v6 > /dev/null || fail "no echo of $v6"
    (($(remembered) >= before + 62)) || fail "only $(remembered) are remembered, $before before"
    down
    (($(remembered) <= before)) || fail "$(remembered) are remembered, $before before"
    on provider nft delete table inet keep
fi

if [[ $mode = user ]]; then
    step "who opens many connections and reads none of them holds little memory, and loses nothing"
    for name in one internet provider; do # else it is megabytes in kernels that wait, not here
        on $name sysctl -qw net.ipv4.tcp_rmem="4096 32768 65536" net.ipv4.tcp_wmem="4096 32768 65536"
    done
    up -l opens=1000
    peer one hold $v4 $port 120 500 > "$scratch/one.hold" &
    other=$!
    wait_for 30 "full connections" grep -q held "$scratch/one.hold"
    held=$(count .held)
    echo "120 connections hold $held bytes"
    ((held > 1000000 && held <= 67108864 + 120 * 4 * 8192)) || fail "held: $held"
    peer two tcp $v4 $port 4 1000000
    wait $other || fail "the one that held them"
    grep -q "120 came back" "$scratch/one.hold" || fail "$(cat "$scratch/one.hold")"
    (($(count .held) == 0)) || fail "held after all: $(count .)"
    down
fi

step "a rate for all is shared by two clients, whatever they ask for"
up -l total=2000000
peer one drain $v4 $port $((load_s * 1000)) > "$scratch/one.bytes" &
other=$!
peer two drain $v4 $port $((load_s * 1000)) > "$scratch/two.bytes"
wait $other || fail "the other client"
one=$(< "$scratch/one.bytes") two=$(< "$scratch/two.bytes")
((one > 0 && two > 0 && one < 3 * two && two < 3 * one)) || fail "shares: $one and $two"
((one + two < (load_s * 2 + 1) * 1000000 * 12 / 10)) || fail "more than the rate: $one and $two"
down
step "done"
