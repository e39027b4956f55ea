#!/usr/bin/env bash
# The command line as an operator meets it: help, exit codes, keys, configuration errors, completion,
# the control socket, metrics, signals.
set -euo pipefail
source "$(dirname "$0")/lib.sh"
unset WW_CONTROL WW_KEY WW_STATE WW_ARBITER NO_COLOR

out=$scratch/out err=$scratch/err

# run CODE ARGUMENT…: runs ww; fails unless it ends with that code.
run() {
    local expected=$1 code=0
    shift
    timeout -k 2 40 "$program" "$@" > "$out" 2> "$err" < /dev/null || code=$?
    [[ $code == "$expected" ]] || fail "ww $*: exit code $code, not $expected: $(head -c 2000 "$err")"
}

says() {
    grep -qF -- "$2" "$1" || fail "'$2' is not in: $(head -c 2000 "$1")"
}

step "help and version"
run 2
says "$err" "Commands:"
for arguments in "--help" "help" "status --help" "arbiter -h" "wallet credit --help" "help wallet credit" \
    "help exit-codes" "help config-reference" "version" "--version" "version --json"; do
    # shellcheck disable=SC2086
    run 0 $arguments
    [[ -s $out && ! -s $err ]] || fail "ww $arguments prints nothing, or talks: $(cat "$err")"
done
for command in $("$program" --help | sed -n '/^Commands:/,/^$/ s/^   \([a-z]\+\) .*/\1/p'); do
    run 0 "$command" --help
    says "$out" "Usage: ww $command"
    [[ $(sed '/^$/q' "$out" | wc -l) -le 5 ]] || fail "the usage of ww $command is longer than four lines"
    [[ $(wc -L < "$out") -le 120 ]] || fail "the help of $command is too wide"
done

step "wrong usage"
run 2 statsu
says "$err" "did you mean status?"
run 2 --bogus
run 2 status --bogus
run 2 key
run 2 key nwe
run 2 wallet credit a usd
run 2 join
run 2 status --timeout -1
run 2 help nonsense
run 2 wallet credit a usd 1.5xch
run 2 statsu --json
jq -e '.version == 1 and .error.code == "EINVAL" and .error.fix' "$out" > /dev/null || fail "no JSON error"

step "addresses"
run 2 address
run 0 address 8.8.8.8 foo 10.0.0.1 "" ::1
[[ $(cat "$out") == $'8.8.8.8 allow public\nfoo deny invalid\n10.0.0.1 deny private 10.0.0.0/8\n deny invalid
::1 deny loopback ::1/128' ]] || fail "ww address: $(cat "$out")"
run 0 address --local 168.63.129.16
says "$out" "168.63.129.16 deny metadata service"
run 0 address 168.63.129.16
says "$out" "168.63.129.16 allow public"
# Many lines, the last without an end, between two arguments; then a reader that goes away.
{
    yes $'1.1.1.1\nfe80::1%eth0' | head -n 300000
    printf 'x'
} | "$program" address 9.9.9.9 - 127.0.0.1 > "$out" || fail "ww address - fails"
[[ $(sort "$out" | uniq -c | tr -s ' ') == ' 150000 1.1.1.1 allow public
 1 127.0.0.1 deny loopback 127.0.0.0/8
 1 9.9.9.9 allow public
 150000 fe80::1%eth0 deny invalid
 1 x deny invalid' && $(tail -n 1 "$out") == 127.* ]] || fail "ww address -: $(sort "$out" | uniq -c | head)"
printf '8.8.8.8\r\n\0\n"' | "$program" address --json - | jq -se 'map([.address, .verdict, .rule]) ==
    [["8.8.8.8\\x0d", "deny", "invalid"], ["\\x00", "deny", "invalid"], ["\"", "deny", "invalid"]]' \
    > /dev/null || fail "ww address --json"
# What has come is answered before more does.
mkfifo "$scratch/fifo"
timeout -k 2 40 "$program" address - < "$scratch/fifo" > "$out" &
address=$!
exec 8> "$scratch/fifo"
printf '1.1.1.1\n8.8' >&8
for _ in $(seq 100); do
    [[ -s $out ]] && break
    sleep 0.1
done
[[ $(cat "$out") == "1.1.1.1 allow public" ]] || fail "ww address - waits: $(cat "$out")"
exec 8>&-
wait "$address" || fail "ww address - fails at the end"
says "$out" "8.8 deny invalid"
! "$program" address 1.1.1.1 > /dev/full 2> "$err" || fail "nobody notices that stdout is full"
says "$err" "stdout"

step "keys"
run 1 key show
says "$err" "ww key new"
run 0 key new
node=$(cat "$out")
[[ $node =~ ^[a-z2-7]{52}$ ]] || fail "no node id: $node"
key=$HOME/.ww/key
[[ $(stat -c %a "$key") == 600 && $(stat -c %a "$HOME/.ww") == 700 ]] || fail "the key can be read by others"
cp "$key" "$scratch/key.copy"
run 1 key new
says "$err" "EEXIST"
cmp "$key" "$scratch/key.copy" || fail "the key was replaced"
run 0 key show --json
[[ $(jq -r .node "$out") == "$node" ]] || fail "show and new differ"
run 0 key check
says "$out" "$node"
chmod 644 "$key"
run 1 key check
says "$err" "EKEYFILE"
chmod 600 "$key"
head -c 100 "$scratch/key.copy" > "$key"
run 1 key check
head -c 300 /dev/urandom > "$key"
run 1 key check
: > "$key"
run 1 key check
mkdir "$scratch/folder.key"
run 1 key check --key "$scratch/folder.key"
cp "$scratch/key.copy" "$key"
run 0 key check -q --key "$key"

step "configuration errors name file and line"
config=$scratch/node.lua
check() {
    printf '%b' "$2" > "$config"
    run "$3" "$1" --check-config -c "$config"
}
check arbiter 'return {\n  listen = { "127.0.0.1:0" },\n}\n' 0
says "$out" "ok"
check arbiter 'return {\n  lisen = { "127.0.0.1:0" },\n}\n' 1
says "$err" "$config:2: unknown key \"lisen\" (did you mean listen?)"
check client 'return {\n\n  proxy = 1080,\n}\n' 1
says "$err" "$config:3: proxy"
check provider 'return {\n  name = = 2 }\n' 1
says "$err" "$config:2:"
check provider 'while true do end\n' 1
says "$err" "does not come to an end"
check provider 'return { state = os.getenv("HOME") }\n' 1
says "$err" "$config:1: os is not known here"
head -c 5000 /dev/urandom > "$config"
run 1 client --check-config -c "$config"
says "$err" "$config"
run 1 client --check-config -c "$scratch/none.lua"
run 1 client --check-config -c "$scratch"
run 1 client --check-config -c /dev/zero
says "$err" "/dev/zero has more than"
run 2 client --check-config --ports 5
says "$err" "--ports: must be two ports"
check client 'return { log_level = "warn" }' 0
WW_LOG_LEVEL=error run 0 client --check-config -c "$config" --json
jq -e '.config.log_level == "error" and .origins.log_level == "environment"' "$out" > /dev/null ||
    fail "the environment does not come before the file"
run 1 client
says "$err" "ww join"

step "what a configuration names is read"
echo "ads.example" > "$scratch/ads.txt"
echo "!!! ***" > "$scratch/places.mmdb"
check client 'return { dns = { block_files = { "ads.txt" } } }' 0
check client 'return { geo = { "places.mmdb" }, dns = { block_files = { "ads.txt", "gone.txt", "places.mmdb" } } }' 1
says "$err" "geo: $scratch/places.mmdb: it is no file of MaxMind's format; unpack it"
says "$err" "dns.block_files: $scratch/gone.txt: it is not there; put it there"
says "$err" "dns.block_files: $scratch/places.mmdb: it is no file, or has no names; give a file"
says "$err" "ww client --check-config -c $config"
run 1 provider --check-config --geo "$scratch/none.mmdb" --json
jq -e '.error.code == "ECONFIG" and (.error.problems | length == 1)' "$out" > /dev/null ||
    fail "--check-config does not list what is wrong with files"
run 1 arbiter --check-config --certificate "$scratch/ads.txt" --certificate-key "$scratch/none.pem"
says "$err" "certificate: $scratch/ads.txt: it is no certificate"
says "$err" "certificate_key: $scratch/none.pem: it is not there"

for role in client provider; do
    run 1 $role --key "$scratch/nokey" --arbiter "https://127.0.0.1:9#$node" --state "$scratch/nokey.state"
    says "$err" "There is no key at $scratch/nokey"
    says "$err" "ww key new --key $scratch/nokey"
done

step "a port that is in use"
start_origin
for flag in --proxy --dns-listen; do
    run 1 client --key "$key" --arbiter "https://127.0.0.1:9#$node" --state "$scratch/taken" --proxy 127.0.0.1:0 \
        $flag "127.0.0.1:$origin_port"
    says "$err" "can't listen on 127.0.0.1:$origin_port: Address already in use"
done

step "what is said of a wrong command line names the way out"
run 2 policy reload --stat x
says "$err" "unknown option '--stat' (did you mean '--state'?)"
says "$err" "fix: ww policy reload --help"
run 2 dispute decide 1
says "$err" "fix: ww dispute decide --help"
for wrong in "diff 1 x" "rollback 1.5" "journal -n 0" "journal -n 1001" "replay strict --since 24x"; do
    run 2 policy $wrong
    says "$err" "why: a "
done
run 1 policy try contract.offer --input <(echo '{"clint": 1}')
says "$err" "fix: ww policy try --help"

step "numbers that are none"
for arguments in "footprint --hours 0" "footprint --hours 49" "footprint --days 401" "footprint --limit 0" \
    "footprint --days 1.5" "flows --limit 0" "flows --limit 2001"; do
    # shellcheck disable=SC2086
    run 2 $arguments
    says "$err" "is a whole number"
done

step "nobody is there"
run 69 status
says "$err" "--state DIR"
run 69 status --control "$scratch/none.sock" --json
jq -e '.error.code' "$out" > /dev/null || fail "no JSON error"
run 69 wallet credit x usd 5
run 69 policy log --state "$scratch/none"
says "$err" "No node runs there"
says "$err" "--state DIR"
run 69 dispute list --control "$scratch/none.sock"
run 1 ledger verify
run 1 providers
pin=$node
run 2 join "https://127.0.0.1:9#$(printf 'a%.0s' {1..52})" mynet
run 69 join "https://127.0.0.1:9#$pin" mynet
run 2 join "https://127.0.0.1:9#$pin" mynet --invite 0
run 2 join "not-a-url" mynet

step "completion"
for shell in bash zsh fish; do
    run 0 completion $shell
    [[ -s $out ]] || fail "no completion for $shell"
done
run 0 completion bash
bash -n "$out" || fail "the completion is no bash"
run 2 completion csh
code=0
"$program" help > /dev/full 2> "$err" || code=$?
[[ $code == 1 ]] || fail "a full disk is not noticed: $code"

step "a node: folder, control socket, metrics"
start_arbiter --metrics 127.0.0.1:0 --log-json
state=$scratch/arbiter
[[ $(stat -c %a "$state") == 700 && $(stat -c %a "$state/control.sock") == 600 ]] || fail "others may get in"
[[ $(cat "$scratch/arbiter.out") == "$join_line" ]] || fail "no join line on stdout: $(cat "$scratch/arbiter.out")"
run 0 status --state "$state"
says "$out" "join line"
! grep -qE ' (false|nil|true)$' "$out" || fail "that is no word for people: $(cat "$out")"
run 0 status --state "$state" --json
jq -e '.version == 1 and .role == "arbiter" and .ready and (.providers | type == "array")' "$out" > /dev/null ||
    fail "status: $(cat "$out")"
WW_CONTROL=$state/control.sock run 0 status --json
run 1 arbiter --state "$state" --listen 127.0.0.1:0
says "$err" "Another node runs"
run 1 arbiter --state "$scratch/other" --listen "127.0.0.1:$arbiter_port"
says "$err" "Address already in use"
run 0 status --state "$state"
metrics=$(status arbiter | jq -r .metrics)
curl -sf "$metrics" > "$out"
for name in ww_build_info ww_ready process_start_time_seconds; do
    says "$out" "# TYPE $name "
done
grep -vE '^(# (HELP|TYPE) [a-z_]+ .+|[a-z_]+(\{[^}]*\})? [-+0-9.e]+)$' "$out" && fail "not Prometheus text"
[[ $(curl -s "${metrics%metrics}healthz") == ok ]] || fail "healthz"
curl -s "${metrics%metrics}readyz?verbose" > "$out"
says "$out" "[+] node"
[[ $(curl -s -o "$out" -w '%{http_code}' -X POST "$metrics") == 405 ]] || fail "POST is taken"
[[ $(curl -s -o "$out" -w '%{http_code}' "${metrics}x") == 404 ]] || fail "unknown path"
while read -r line; do
    jq -e '.level and .msg' <<< "$line" > /dev/null || fail "not a JSON log line: $line"
done < "$scratch/arbiter.log"

step "a market for one: join, invite, credit, verify"
run 0 join "$join_line" mynet
[[ $(cat "$HOME/.ww/arbiter") == "$join_line" ]] || fail "the arbiter is not remembered"
run 0 invite --json
code=$(jq -r .code "$out")
run 0 key new --key "$scratch/second/key"
run 0 join "$join_line" --invite "$code" --key "$scratch/second/key"
says "$out" "member of mynet"
run 0 key new --key "$scratch/third/key"
run 1 join "$join_line" --invite "$code" --key "$scratch/third/key"
says "$err" "EINVITE"
run 1 join "$join_line" MyNet --key "$scratch/third/key"
says "$err" "ENAME"
run 1 wallet credit nobody usd 5 --state "$state"
says "$err" "ENOTFOUND"
run 0 wallet credit mynet usd 10.50usd --state "$state" --json
id=$(jq -r .id "$out")
run 0 wallet credit mynet usd 10.50usd --state "$state" --id "$id" --json
jq -e '.wallets[0].market == "10500000000"' "$out" > /dev/null || fail "a repeated grant was done twice: $(cat "$out")"
run 1 wallet credit mynet usd 11usd --state "$state" --id "$id"
says "$err" "ECONFLICT"
run 1 wallet credit mynet usdd 5 --state "$state"
says "$err" "did you mean usd?"
run 2 wallet credit mynet usd 1,5 --state "$state"
says "$err" "fix: ww wallet credit --help"
run 0 wallet show
says "$out" "10.50"
run 1 wallet show mynett --state "$state"
says "$err" "did you mean mynet?"
run 1 wallet show other --key "$key"
says "$err" "mynet"
run 0 wallet show mynet --key "$key"
run 0 wallet show mynet --state "$state" --json
jq -e '.wallets | length == 1' "$out" > /dev/null || fail "wallet show: $(cat "$out")"
run 0 ledger verify --state "$state"
says "$out" "the books balance"
run 0 providers --json
jq -e '.providers == []' "$out" > /dev/null || fail "providers: $(cat "$out")"
bad_line="${join_line%#*}#$node"
run 1 providers --arbiter "$bad_line"
says "$err" "EPIN"

step "disputes and bans"
run 0 dispute list --state "$state" --json
jq -e '.version == 1 and .disputes == []' "$out" > /dev/null || fail "dispute list: $(cat "$out")"
run 0 dispute run --dry-run --state "$state"
says "$err" "No dispute is ripe"
run 1 dispute show 00000000000000000000000000000001 --state "$state"
says "$err" "EGONE"
run 1 dispute decide 00000000000000000000000000000001 no_fault --state "$state"
run 2 dispute decide 00000000000000000000000000000001 guilty --state "$state"
run 2 ban mynet --state "$state"
says "$err" "reason"
run 2 ban mynet --reason test --confirm other --state "$state"
says "$err" "confirm"
run 1 ban nobody --reason test --confirm nobody --state "$state"
says "$err" "ENOTFOUND"
run 0 ban mynet --reason "for a test" --confirm mynet --state "$state"
says "$err" "mynet is banned"
run 1 providers
says "$err" "EBANNED"
run 0 ban list --state "$state" --json
jq -e '.bans | length == 1 and .[0].name == "mynet" and .[0].reason == "for a test"' "$out" > /dev/null ||
    fail "ban list: $(cat "$out")"
run 0 ban lift mynet --state "$state"
run 1 ban lift mynet --state "$state"
run 0 providers --json

step "abuse of the control socket"
WW_CONTROL=$state/control.sock WW_LUA=$here/../lua timeout -k 2 50 "$program" abuse > "$out" 2> "$err" ||
    fail "abuse: $(cat "$out" "$err")"
is_alive arbiter || fail "the node has died"
run 0 status --state "$state"

step "signals"
kill -HUP "${pid[arbiter]}"
sleep 0.2
is_alive arbiter || fail "HUP ended the node"
run 0 status --state "$state"
node_stop arbiter
[[ ! -e $state/control.sock ]] || fail "the control socket was left"
step "a stop that somebody's half request can't delay"
node_start arbiter arbiter --listen "127.0.0.1:$arbiter_port" --json
wait_for 15 "the start before half a request" is_ready arbiter
[[ $(jq -r 'select(.version == 1) | .join_line' "$scratch/arbiter.out") == "$join_line" ]] ||
    fail "no join line as JSON: $(cat "$scratch/arbiter.out")"
sleep 12 | curl -sk -X POST -T - "${join_line%#*}/v1/nonce" > "$scratch/half.out" &
half=$!
is_open() {
    [[ $(status arbiter | jq .connections) == 1 ]]
}
wait_for 5 "half a request" is_open
node_stop arbiter
kill "$half" 2> /dev/null || true
says "$scratch/arbiter.log" "stopped"
run 0 ledger verify --state "$state"
says "$out" "store"
run 69 status --state "$state"
chmod 777 "$state"
run 1 arbiter --state "$state" --listen 127.0.0.1:0
says "$err" "EPERM"
chmod 700 "$state"
node_start arbiter arbiter --listen 127.0.0.1:0
wait_for 15 "the second start" is_ready arbiter
node_kill arbiter
node_start arbiter
wait_for 15 "the start after a kill" is_ready arbiter
call arbiter stop > /dev/null
wait "${pid[arbiter]}" || fail "stop by the control socket: $?"
unset "pid[arbiter]"

step "a log in a file, which a start finds full, after a kill"
log=$scratch/node.txt before=$(grep -c msg= "$scratch/arbiter.log")
head -c 4194300 < <(yes 'ts=2026 level=info room=test msg="an older line"') > "$log"
node_start arbiter arbiter --listen 127.0.0.1:0 --log-file "$log"
wait_for 15 "the start with a log file" is_ready arbiter
[[ $(stat -c %s "$log.1") -ge 4194300 && $(grep -c 'msg="started"' "$log") == 1 ]] || fail "the log: $(head -c 4096 "$log")"
[[ $(grep -c msg= "$scratch/arbiter.log") == "$before" ]] || fail "a line went to stderr"
node_kill arbiter
node_start arbiter
wait_for 15 "the start after a kill" is_ready arbiter
[[ $(grep -c 'msg="started"' "$log") == 2 ]] || fail "the log after a kill: $(head -c 4096 "$log")"
node_stop arbiter
ln -s "$log" "$scratch/link"
run 1 arbiter --state "$state" --listen 127.0.0.1:0 --log-file "$scratch/link"
says "$err" "The log can't be written to"
step "done"
