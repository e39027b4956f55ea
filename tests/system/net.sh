# What tests of the tunnel in network namespaces have in common. Source it first, with the script's own
# arguments: it begins the script again in namespaces of its own, and then sources lib.sh. Machines are
# namespaces around this one, which is the router: 11.0.NUMBER.2 and 2a00:11:0:NUMBER::2.
inner4=192.0.0.2 inner6=fd77:7700:77::2

if [[ -z ${NET_INSIDE:-} ]]; then
    user=()
    (($(id -u) == 0)) || user=(--user --map-root-user)
    # shellcheck disable=SC2016
    if ! unshare "${user[@]}" --mount --net bash -c 'mount -t tmpfs none /run && nft add table ip probe &&
        ip netns add probe && ip tuntap add probe mode tun' 2> /dev/null; then
        echo "namespaces, nftables or TUN devices are not allowed here"
        exit 77
    fi
    NET_INSIDE=1 exec unshare "${user[@]}" --mount --net --pid --fork --kill-child --mount-proc \
        bash "$(realpath "$0")" "$@"
fi

mount -t tmpfs none /run
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
unset XDG_RUNTIME_DIR
ip link set lo up

forward() {
    echo 1 > /proc/sys/net/ipv4/ip_forward
    echo 1 > /proc/sys/net/ipv6/conf/all/forwarding
}
export -f forward
forward

# machine NAME NUMBER: a namespace behind this one.
machine() {
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

# behind NAME NUMBER GATEWAY: a namespace behind a machine, which forwards: 192.168.NUMBER.2.
behind() {
    ip netns add "$1"
    on "$3" ip link add lan type veth peer name eth0 netns "$1"
    on "$3" ip address add "192.168.$2.1/24" dev lan
    on "$3" ip link set lan up
    ip -n "$1" address add "192.168.$2.2/24" dev eth0
    ip -n "$1" link set eth0 up
    ip -n "$1" link set lo up
    ip -n "$1" route add default via "192.168.$2.1"
    on "$3" bash -c forward
}

# The machine that a node runs on, if it isn't called as the node.
declare -A machine_of=()

# Not `ip netns exec`, which would be another process in between when it is in the background.
on() {
    local name=$1
    shift
    nsenter --net="/run/netns/${machine_of[$name]:-$name}" "$@"
}

start_on() { # NAME ROLE FLAGS…
    local name=$1
    shift
    nsenter --net="/run/netns/${machine_of[$name]:-$name}" "${node_program[$name]:-$program}" "$@" --state "$scratch/$name" \
        2>> "$scratch/$name.log" >&2 &
    pid[$name]=$!
}

join_on() { # NAME
    "$program" key new --key "$scratch/keys/$1/key" > "$scratch/key.out" 2>&1 || fail "key new"
    on "$1" "$program" join "$join_line" "of-$1" --key "$scratch/keys/$1/key" > "$scratch/join.out" 2>&1 ||
        fail "join of-$1: $(cat "$scratch/join.out")"
    credit "of-$1" 100000000000
}

start_arbiter_on() { # FLAGS…
    start_on arbiter arbiter --listen 0.0.0.0:8443 --url https://11.0.1.2:8443 --hosts 11.0.1.2 "$@"
    wait_for 20 "the arbiter's start" is_ready arbiter
    join_line=$(call arbiter join.line | jq -r .line)
}

start_provider_on() { # NAME FLAGS…
    start_on "$1" provider --key "$scratch/keys/$1/key" --arbiter "$join_line" --egress-mode kernel "${@:2}"
    wait_for 20 "the start of $1" is_ready "$1"
}

start_client_on() { # NAME FLAGS…
    start_on "$1" client --key "$scratch/keys/$1/key" --arbiter "$join_line" --proxy 127.0.0.1:1080 "${@:2}"
    wait_for 30 "the start of $1" is_ready "$1"
}

# start_nodes_on ADDRESS…: an arbiter, a provider and a client, whose device the addresses go into.
start_nodes_on() {
    start_arbiter_on
    join_on provider
    join_on client
    start_provider_on provider
    start_client_on client
    open_tunnel client "$@"
}

# check_end: as check_client, of these three; they end, and the books are right after it, too.
check_end() {
    local name
    check_client client provider
    check_books
    for name in client provider arbiter; do
        node_stop $name
    done
    check_books_offline
    step "all held"
}

# open_tunnel NAME ADDRESS…: the client's device, and what goes into it.
open_tunnel() {
    local name=$1 space=${machine_of[$1]:-$1} address
    call "$name" tunnel.open '{"device":"ww0"}' > /dev/null || fail "tunnel.open of $name"
    ip -n "$space" address add $inner4 dev ww0
    ip -n "$space" address add $inner6 dev ww0 nodad
    ip -n "$space" link set ww0 up
    for address in "${@:2}"; do
        if [[ $address == *:* ]]; then
            ip -n "$space" route add "$address" dev ww0 src $inner6
        else
            ip -n "$space" route add "$address" dev ww0 src $inner4
        fi
    done
}

is_settled() {
    status "$1" | jq -e '(.history | length) > 0 and all(.history[]; .state == "settled" or .state == "void")'
}

# check_client CLIENT PROVIDER…: ends its contracts. Each is settled, and has the same counts at its other
# end to the byte; it is between what was sent and what came, and up to `beside` bytes more that went by
# no device. With `shared` the providers have other clients, too; with `may_lose` a contract may have ended with
# its connection.
beside=0 shared=false may_lose=false
check_client() {
    local name=$1 other
    call "$name" contracts.end > /dev/null || fail "contracts.end of $name"
    wait_for 20 "the end of the contracts of $name" is_settled "$name"
    status "$name" > "$scratch/ours.json"
    for other in "${@:2}"; do
        status "$other"
    done > "$scratch/theirs.json"
    jq -n -e --slurpfile our "$scratch/ours.json" --slurpfile theirs "$scratch/theirs.json" --argjson beside $beside \
        --argjson shared $shared --argjson may_lose $may_lose '
        ([$theirs[].history[] | {key: .contract, value: .}] | from_entries) as $other | $our[0] as $ours
        | ($ours.history | all(.state == "void" or ((.clean or $may_lose) and ($other[.contract] as $peer
                               | $peer.bytes_up == .bytes_up and $peer.bytes_down == .bytes_down))))
          and ([$ours.history[].bytes_up] | add | . <= $ours.tunnel.out_bytes + $beside
               and ($shared or . >= ([$theirs[].packets.out_bytes] | add)))
          and ([$ours.history[].bytes_down] | add | . >= $ours.tunnel.in_bytes
               and ($shared or . <= ([$theirs[].packets.in_bytes] | add) + $beside))' > /dev/null ||
        fail "the counts of $name differ: $(jq -c '.history, .tunnel' "$scratch/ours.json")" \
            "$(jq -c '.history, .packets' "$scratch/theirs.json")"
    step "$name: $(jq -c '[.history[] | {state, clean, bytes_up, bytes_down}]' "$scratch/ours.json")"
}
