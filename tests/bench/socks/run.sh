#!/usr/bin/env bash
# Download and upload through the client's SOCKS5 proxy, beside the same through `ssh -D` (OpenSSH,
# AES-128-GCM), alternately: Gbit/s of each round, the ratio's median and spread, and the CPU seconds
# that a Gbit costs both ends together, which a busy machine disturbs less.
# Everything runs in a temporary folder, on free ports, and is ended by its process id.
#
#   tests/bench/socks/run.sh [--build DIR] [--rounds N] [--bytes N] [--streams N] [--json]
#                            [--path host|wire] [--ssh=no] [--hold]
#
# All is on loopback. With --path host the peers of ww meet at the machine's own address instead of
# 127.0.0.1, as two nodes on one machine do. With --path wire (as root) the two ends of both, ww and
# ssh, are in namespaces with a veth pair of 1,500 bytes between them, as on Ethernet.
set -euo pipefail

root=$(cd "$(dirname "$0")/../../.." && pwd)
build=$root/build/release
rounds=5 bytes=400000000 streams=1 json=no ssh=yes hold=no path=loopback
usage() {
    sed -n '2,14s/^# \{0,1\}//p' "$0" >&2
    exit 2
}
while [ $# -gt 0 ]; do
    case $1 in
    --build) build=${2:?} && shift ;;
    --rounds) rounds=${2:?} && shift ;;
    --bytes) bytes=${2:?} && shift ;;
    --streams) streams=${2:?} && shift ;;
    --path) path=${2:?} && shift ;;
    --json) json=yes ;;
    --ssh=no) ssh=no ;;
    --hold) hold=yes ;; # keeps the nodes running until Enter
    *) usage ;;
    esac
    shift
done
case $path in
loopback) flags=(--loopback) host=127.0.0.1 near=() far=() ;;
host) flags=() host=127.0.0.1 near=() far=() ;;
wire) flags=() host=10.98.0.1 near=(ip netns exec "wwsocks-near-$$") far=(ip netns exec "wwsocks-far-$$") ;;
*) usage ;;
esac
ww=$build/ww bench=$build/tests/bench/socks/bench_socks
for program in "$ww" "$bench"; do
    [ -x "$program" ] || { echo "run.sh: $program is not built; see --build" >&2 && exit 2; }
done
if [ "$ssh" != no ] && ! [ -x /usr/sbin/sshd ]; then
    echo "run.sh: there is no /usr/sbin/sshd: tests/install.sh bench, or --ssh=no" >&2
    exit 2
fi

dir=$(mktemp -d) pids=()
end() {
    local pid
    for ((i = ${#pids[@]} - 1; i >= 0; i--)); do
        pid=${pids[i]}
        kill "$pid" 2>/dev/null || continue
        wait "$pid" 2>/dev/null || true
    done
    if [ "$path" = wire ]; then
        ip netns delete "${near[3]}"
        ip netns delete "${far[3]}"
    fi
    rm -rf "$dir"
}
trap end EXIT
trap 'exit 130' INT TERM
fail() {
    echo "run.sh: $1" >&2
    tail -n 5 "$dir"/*.log >&2
    exit 1
}
# await SECONDS COMMAND…: until it succeeds.
await() {
    local tries=$(($1 * 20))
    shift
    until "$@" >"$dir/await.out" 2>&1; do
        ((tries-- > 0)) || fail "$* does not succeed: $(cat "$dir/await.out")"
        sleep 0.05
    done
}
declare -A pid_of
start() { # NAME COMMAND…
    local name=$1
    shift
    "$@" >"$dir/$name.out" 2>"$dir/$name.log" &
    pids+=($!)
    pid_of[$name]=$!
}
with_children() { # PID…
    local pid
    for pid; do
        echo "$pid"
        # shellcheck disable=SC2046 # a number each
        with_children $(pgrep -P "$pid")
    done
}
# Clock ticks that the processes and what they started have used so far (proc(5): utime, stime).
ticks() { # PID…
    local pid
    for pid in $(with_children "$@"); do
        sed 's/.*) //' "/proc/$pid/stat"
    done | awk '{ sum += $12 + $13 } END { print sum + 0 }'
}
free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# --- the nodes, with a key and a folder each -------------------------------------------------------
export HOME=$dir XDG_STATE_HOME=$dir/state
unset "${!WW_@}"
node() { # ROLE KEY COMMAND-BEFORE FLAGS…
    local role=$1 key=$2
    local -n before=$3
    shift 3
    start "$role" "${before[@]}" "$ww" "$role" --key "$dir/$key/key" "$@"
}
if [ $path = wire ]; then
    for name in "${near[3]}" "${far[3]}"; do
        ip netns add "$name" && ip -n "$name" link set lo up
    done
    ip link add name inner netns "${near[3]}" type veth peer name inner netns "${far[3]}"
    ip -n "${near[3]}" address add 10.98.0.2/24 dev inner && ip -n "${near[3]}" link set inner up
    ip -n "${far[3]}" address add $host/24 dev inner && ip -n "${far[3]}" link set inner up
fi
"$ww" key new --key "$dir/alice/key" >>"$dir/setup.log" 2>&1
"$ww" key new --key "$dir/bob/key" >>"$dir/setup.log" 2>&1
node arbiter arbiter far --listen $host:0
is_ready() { "$ww" status --json >"$dir/status.json" && grep -q "\"role\":\"$1\"" "$dir/status.json"; }
await 20 is_ready arbiter
line=$(grep -o '"join_line":"[^"]*"' "$dir/status.json" | cut -d'"' -f4)
{
    "${near[@]}" "$ww" join "$line" alice --key "$dir/alice/key"
    "${far[@]}" "$ww" join "$line" bob --key "$dir/bob/key"
    "${far[@]}" "$ww" wallet credit alice usd 100.00usd
} >>"$dir/setup.log" 2>&1
node provider bob far "${flags[@]}" --allow-private 127.0.0.0/8
await 20 is_ready provider
proxy=127.0.0.1:$(free_port)
node client alice near "${flags[@]}" --allow-private 127.0.0.0/8 --proxy "$proxy"
start origin "${far[@]}" "$bench" origin
await 5 test -s "$dir/origin.out"
origin=127.0.0.1:$(cat "$dir/origin.out")
await 20 "${near[@]}" "$bench" down 1000 "$origin" "$proxy"

# --- sshd and ssh -D, with keys of their own ----------------------------------------------------------
start_ssh() {
    local port socks=$1
    port=$(free_port)
    ssh-keygen -q -t ed25519 -N '' -f "$dir/host" && ssh-keygen -q -t ed25519 -N '' -f "$dir/user"
    cat >"$dir/sshd_config" <<END
Port $port
ListenAddress $host
HostKey $dir/host
AuthorizedKeysFile $dir/user.pub
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin prohibit-password
END
    [ "$(id -u)" -ne 0 ] || mkdir -p /run/sshd
    start sshd "${far[@]}" /usr/sbin/sshd -D -e -f "$dir/sshd_config"
    await 5 "${near[@]}" bash -c "true >/dev/tcp/$host/$port"
    start ssh "${near[@]}" ssh -F none -N -D "$socks" -p "$port" -i "$dir/user" -o IdentitiesOnly=yes \
        -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o Compression=no \
        -o ExitOnForwardFailure=yes -c aes128-gcm@openssh.com "$host"
    await 10 "${near[@]}" "$bench" down 1000 "$origin" "$socks"
}
tunnels=("ww $proxy ${pid_of[provider]} ${pid_of[client]}")
if [ $ssh = yes ]; then
    socks=127.0.0.1:$(free_port)
    start_ssh "$socks"
    tunnels+=("ssh $socks ${pid_of[sshd]} ${pid_of[ssh]}")
fi
if [ $hold = yes ]; then
    echo "proxy=$proxy origin=$origin ssh=${socks-} dir=$dir pids=${pids[*]}"
    read -r _ || true
    exit 0
fi

# --- rounds: the order within one changes from round to round -------------------------------------------
for ((round = 0; round < rounds; round++)); do
    for direction in down up; do
        for ((i = 0; i < ${#tunnels[@]}; i++)); do
            read -r name address ends <<<"${tunnels[(i + round) % ${#tunnels[@]}]}"
            # shellcheck disable=SC2086 # two process ids
            before=$(ticks $ends)
            rate=$("${near[@]}" "$bench" $direction "$bytes" "$origin" "$address" "$streams") ||
                fail "$direction by $name failed"
            # shellcheck disable=SC2086
            echo "$direction $name $rate $(($(ticks $ends) - before))" | tee -a "$dir/rates" >&2
        done
    done
done
python3 - "$dir/rates" "$json" "$bytes" "$streams" "$(getconf CLK_TCK)" <<'END'
import json, statistics, sys

path, as_json, size, streams, ticks_a_second = sys.argv[1:]
gbit = int(size) * 8 / 1e9
rates, costs = {}, {}
for line in open(path):
    direction, name, rate, ticks = line.split()
    rates.setdefault((direction, name), []).append(float(rate))
    costs.setdefault((direction, name), []).append(int(ticks) / int(ticks_a_second) / gbit)
names = ["ww", "ssh"] if ("down", "ssh") in rates else ["ww"]
report = {"bytes": int(size), "streams": int(streams)}
for direction in ("down", "up"):
    entry = {}
    for name in names:
        entry[name] = {"gbit_s": statistics.median(rates[direction, name]), "rounds": rates[direction, name],
                       "cpu_s_per_gbit": round(statistics.median(costs[direction, name]), 3)}
    if len(names) == 2:
        ratios = sorted(a / b for a, b in zip(rates[direction, "ww"], rates[direction, "ssh"]))
        entry["ratio"] = {"median": round(statistics.median(ratios), 3), "min": round(ratios[0], 3),
                          "max": round(ratios[-1], 3)}
    report[direction] = entry
if as_json == "yes":
    print(json.dumps(report))
    sys.exit()
rounds = len(rates["down", "ww"])
print(f"medians of {rounds} alternations, {int(size)} bytes each, streams at once: {streams}")
print(f"{'':6}{'Gbit/s':>8}{'':8}{'ratio':>6} {'spread':>14}   {'CPU s/Gbit':>10}")
print(f"{'':6}{'ww':>8}{'ssh -D':>8}{'':21}   {'ww':>7}{'ssh -D':>8}")
for direction in ("down", "up"):
    entry = report[direction]
    ssh, ratio = entry.get("ssh"), entry.get("ratio")
    line = f"{direction:6}{entry['ww']['gbit_s']:8.2f}"
    line += f"{ssh['gbit_s']:8.2f}{ratio['median']:6.2f} {ratio['min']:6.2f} to {ratio['max']:.2f}" if ssh else " " * 29
    line += f"   {entry['ww']['cpu_s_per_gbit']:7.3f}" + (f"{ssh['cpu_s_per_gbit']:8.3f}" if ssh else "")
    print(line)
END
