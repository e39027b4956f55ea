#!/usr/bin/env bash
# A client that asks the provider for names whose server is silent is in nobody's way but its own:
# another client's name is answered at once. In namespaces of its own, for /etc/resolv.conf and port 53.
set -euo pipefail
self=$(realpath "$0")
if [[ -z ${NAMES_INSIDE:-} ]]; then
    user=()
    (($(id -u) == 0)) || user=(--user --map-root-user)
    if ! command -v dnsmasq > /dev/null || ! unshare "${user[@]}" --mount --net true 2> /dev/null; then
        echo "needs dnsmasq-base and namespaces"
        exit 77
    fi
    NAMES_INSIDE=1 exec unshare "${user[@]}" --mount --net --pid --fork --kill-child --mount-proc bash "$self" "$@"
fi
. "$(dirname "$self")/lib.sh"

# server NAME ADDRESS FLAGS…: dnsmasq; its process id is in server_pid.
server() {
    dnsmasq --keep-in-foreground --conf-file=/dev/null --no-resolv --no-hosts --no-ping --port=53 \
        --listen-address="$2" --bind-interfaces --user=root --pid-file= --dns-forward-max=1000 "${@:3}" \
        > "$scratch/$1.log" 2>&1 &
    server_pid=$!
}
ip link set lo up
server silent 127.0.0.77
kill -STOP "$server_pid"
server first 127.0.0.1 --host-record=good.example,127.0.0.1 --server=/hang.example/127.0.0.77
echo 'nameserver 127.0.0.1' > "$scratch/resolv.conf"
mount --bind "$scratch/resolv.conf" /etc/resolv.conf

start_arbiter
join provider bobnet
join client alicenet
join other carolnet
credit alicenet 100000000000
credit carolnet 100000000000
start_provider
start_client
other_port=$(free_port)
node_start other client --key "$scratch/keys/other/key" --arbiter "$join_line" --loopback \
    --allow-private 127.0.0.0/8 --allow-private ::1/128 --proxy "127.0.0.1:$other_port"
wait_for 20 "the other client's start" is_ready other

# ask PORT HOST FLAGS…: seconds until the arbiter has answered by this name.
ask() {
    curl --silent --insecure --output /dev/null --write-out '%{time_total}' --max-time 20 \
        --socks5-hostname "127.0.0.1:$1" "${@:3}" "https://$2:$arbiter_port/"
}
ask "$other_port" good.example > /dev/null || fail "a name, before anything is silent"
ask "$proxy_port" good.example > /dev/null || fail "a name of the one who will ask for silent ones"
step "both have their first contracts"

# More than the 128 that one client may have under way.
ask "$proxy_port" '[1-200].hang.example' --parallel --parallel-immediate --parallel-max 200 > /dev/null 2>&1 &
silent_pid=$!
refused() {
    (($(status provider | jq .streams_refused) > 0))
}
wait_for 10 "the refusal of what is over its share" refused
took=$(ask "$other_port" good.example) || fail "the other client's name has no answer"
jq -n -e "$took < 2" > /dev/null || fail "the other client's name took $took s"
kill -0 "$silent_pid" || fail "nothing was being waited for any more"
step "the other client's name took $took s, while 128 are under way"

wait "$silent_pid" || true
ask "$proxy_port" good.example > /dev/null || fail "a name, when the silent ones have ended"
for name in other client provider arbiter; do
    node_stop "$name"
done
