#!/usr/bin/env bash
# Download and upload through the client's SOCKS5 proxy, beside the same through `ssh -D` (OpenSSH,
# AES-128-GCM), alternately, all on loopback: Gbit/s of each round, the ratio's median and spread, and
# the CPU seconds that a Gbit costs both ends together, which a busy machine disturbs less.
# Everything runs in a temporary folder, on free ports, and is ended by its process id.
#
#   tests/bench/socks/run.sh [--build DIR] [--rounds N] [--bytes N] [--streams N] [--json]
#                            [--path host] [--ssh=no] [--hold]
#
# With --path host the peers meet at the machine's own address instead of 127.0.0.1: datagrams of
# 1,232 bytes, as on any real path, instead of 16 KB, which only loopback carries.
set -euo pipefail

root=$(cd "$(dirname "$0")/../../.." && pwd)
build=$root/build/release
rounds=5 bytes=400000000 streams=1 json=no ssh=yes hold=no path=(--loopback)
usage() {
    sed -n '2,13s/^# \{0,1\}//p' "$0" >&2
    exit 2
}
while [ $# -gt 0 ]; do
    case $1 in
    --build) build=${2:?} && shift ;;
    --rounds) rounds=${2:?} && shift ;;
    --bytes) bytes=${2:?} && shift ;;
    --streams) streams=${2:?} && shift ;;
    --path) [ "${2:?}" = host ] && path=() && shift ;;
    --json) json=yes ;;
    --ssh=no) ssh=no ;;
    --hold) hold=yes ;; # keeps the nodes running until Enter
    *) usage ;;
    esac
    shift
done
ww=$build/ww bench=$build/tests/bench/socks/bench_socks
for program in "$ww" "$bench"; do
    [ -x "$program" ] || { echo "run.sh: $program is not built; see --build" >&2 && exit 2; }
done

dir=$(mktemp -d) pids=()
end() {
    local pid
    for ((i = ${#pids[@]} - 1; i >= 0; i--)); do
        pid=${pids[i]}
        kill "$pid" 2>/dev/null || continue
        wait "$pid" 2>/dev/null || true
    done
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
node() { # ROLE KEY FLAGS…
    local role=$1 key=$2
    shift 2
    start "$role" "$ww" "$role" --key "$dir/$key/key" "$@"
}
"$ww" key new --key "$dir/alice/key" >>"$dir/setup.log" 2>&1
"$ww" key new --key "$dir/bob/key" >>"$dir/setup.log" 2>&1
node arbiter arbiter --listen 127.0.0.1:0
is_ready() { "$ww" status --json >"$dir/status.json" && grep -q "\"role\":\"$1\"" "$dir/status.json"; }
await 20 is_ready arbiter
line=$(grep -o '"join_line":"[^"]*"' "$dir/status.json" | cut -d'"' -f4)
{
    "$ww" join "$line" alice --key "$dir/alice/key"
    "$ww" join "$line" bob --key "$dir/bob/key"
    "$ww" wallet credit alice usd 100.00usd
} >>"$dir/setup.log" 2>&1
node provider bob "${path[@]}" --allow-private 127.0.0.0/8
await 20 is_ready provider
proxy=127.0.0.1:$(free_port)
node client alice "${path[@]}" --allow-private 127.0.0.0/8 --proxy "$proxy"
start origin "$bench" origin
await 5 test -s "$dir/origin.out"
origin=127.0.0.1:$(cat "$dir/origin.out")
await 20 "$bench" down 1000 "$origin" "$proxy"

# --- sshd and ssh -D, with keys of their own ----------------------------------------------------------
start_ssh() {
    local port socks=$1
    port=$(free_port)
    ssh-keygen -q -t ed25519 -N '' -f "$dir/host" && ssh-keygen -q -t ed25519 -N '' -f "$dir/user"
    cat >"$dir/sshd_config" <<END
Port $port
ListenAddress 127.0.0.1
HostKey $dir/host
AuthorizedKeysFile $dir/user.pub
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin prohibit-password
END
    [ "$(id -u)" -ne 0 ] || mkdir -p /run/sshd
    start sshd /usr/sbin/sshd -D -e -f "$dir/sshd_config"
    await 5 bash -c "true >/dev/tcp/127.0.0.1/$port"
    start ssh ssh -F none -N -D "$socks" -p "$port" -i "$dir/user" -o IdentitiesOnly=yes \
        -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o Compression=no \
        -o ExitOnForwardFailure=yes -c aes128-gcm@openssh.com 127.0.0.1
    await 10 "$bench" down 1000 "$origin" "$socks"
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
            rate=$("$bench" $direction "$bytes" "$origin" "$address" "$streams") ||
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
