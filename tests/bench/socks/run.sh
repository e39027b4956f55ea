#!/usr/bin/env bash
# Download and upload through the client's SOCKS5 proxy, beside the same through `ssh -D` (OpenSSH,
# AES-128-GCM), alternately, all on loopback: Gbit/s of each round, and the ratio's median and spread.
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
    sed -n '2,12s/^# \{0,1\}//p' "$0" >&2
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
        kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null || true
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
start() { # NAME COMMAND…
    local name=$1
    shift
    "$@" >"$dir/$name.out" 2>"$dir/$name.log" &
    pids+=($!)
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
"$ww" key new --key "$dir/alice/key" >/dev/null
"$ww" key new --key "$dir/bob/key" >/dev/null
node arbiter arbiter --listen 127.0.0.1:0
is_ready() { "$ww" status --json >"$dir/status.json" && grep -q "\"role\":\"$1\"" "$dir/status.json"; }
await 20 is_ready arbiter
line=$(grep -o '"join_line":"[^"]*"' "$dir/status.json" | cut -d'"' -f4)
"$ww" join "$line" alice --key "$dir/alice/key" >/dev/null
"$ww" join "$line" bob --key "$dir/bob/key" >/dev/null
"$ww" wallet credit alice usd 100.00usd >/dev/null
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
tunnels=("ww $proxy")
if [ $ssh = yes ]; then
    socks=127.0.0.1:$(free_port)
    start_ssh "$socks"
    tunnels+=("ssh $socks")
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
            read -r name address <<<"${tunnels[(i + round) % ${#tunnels[@]}]}"
            rate=$("$bench" $direction "$bytes" "$origin" "$address" "$streams") ||
                fail "$direction by $name failed"
            echo "$direction $round $name $rate" | tee -a "$dir/rates" >&2
        done
    done
done
python3 - "$dir/rates" "$json" "$bytes" "$streams" <<'END'
import json, statistics, sys

rates = {}
for line in open(sys.argv[1]):
    direction, turn, name, rate = line.split()
    rates.setdefault((direction, name), []).append(float(rate))
report = {"bytes": int(sys.argv[3]), "streams": int(sys.argv[4])}
for direction in ("down", "up"):
    ww, ssh = rates[direction, "ww"], rates.get((direction, "ssh"))
    entry = {"ww_gbit_s": ww, "ww_median": statistics.median(ww)}
    if ssh:
        ratios = sorted(a / b for a, b in zip(ww, ssh))
        entry.update(ssh_gbit_s=ssh, ssh_median=statistics.median(ssh), ratio=statistics.median(ratios),
                     ratio_min=ratios[0], ratio_max=ratios[-1])
    report[direction] = entry
if sys.argv[2] == "yes":
    print(json.dumps(report))
else:
    print(f"{'':6}{'ww':>8}{'ssh -D':>8}{'ratio':>8}   spread (Gbit/s, medians of {len(ww)} alternations)")
    for direction in ("down", "up"):
        entry = report[direction]
        rest = ("{ssh_median:8.2f}{ratio:8.2f}   {ratio_min:.2f} to {ratio_max:.2f}" if "ratio" in entry else "")
        print(f"{direction:6}{entry['ww_median']:8.2f}" + rest.format(**entry))
END
