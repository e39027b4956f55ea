#!/usr/bin/env bash
# Names through the tunnel: dig asks the client, dnsmasq answers behind the provider. What is known
# costs no byte of the contract; answers into private ranges and listed names are not let through; a
# resolver that falls silent is left for the next one; the counts of both sides stay equal.
set -euo pipefail
source "$(dirname "$0")/lib.sh"
if ! command -v dnsmasq dig > /dev/null; then
    echo "needs dnsmasq-base and bind9-dnsutils"
    exit 77
fi

text=$(printf 'x%.0s' {1..250})
# resolver NAME PORT: dnsmasq; its process id is in resolver_pid[NAME].
declare -A resolver_pid=()
resolver() {
    dnsmasq --keep-in-foreground --conf-file=/dev/null --no-resolv --no-hosts --no-ping \
        --port="$2" --listen-address=127.0.0.1 --bind-interfaces --user="$(id -un)" --pid-file= \
        --log-queries --log-facility="$scratch/$1.queries" --local-ttl=300 --edns-packet-max=1232 \
        --local=/example/ --host-record=plain.example,93.184.216.34,2606:2800:220:1::1 \
        --host-record=other.example,93.184.216.35 --host-record=third.example,93.184.216.36 \
        --cname=alias.example,plain.example --host-record=rebind.example,10.1.2.3 \
        --host-record=corp.example,10.1.2.4 --host-record=cloak.tracker.example,93.184.216.37 \
        --cname=shop.example,cloak.tracker.example \
        --txt-record=long.example,"$text,$text,$text,$text,$text,$text,$text,$text" \
        > "$scratch/$1.log" 2>&1 &
    resolver_pid[$1]=$!
}
port_one=$(free_port) port_two=$(free_port) port_dns=$(free_port)
resolver one "$port_one"
resolver two "$port_two"

printf '0.0.0.0 ads.example\n0.0.0.0 cloak.tracker.example\n' > "$scratch/ads.txt"
seq -f 'n%.0f.listed.example' 120000 > "$scratch/many.hosts"
mkdir "$scratch/rules"
cat > "$scratch/rules/dns.lua" << 'LUA'
return {
    query = function(request)
        if request.listed == "many" then
            return { decision = "zero", seconds = 3600 }
        end
        return { decision = request.listed ~= "" and "block" or "allow", seconds = 3600 }
    end,
}
LUA
start_arbiter
join provider bobnet
join client alicenet
credit alicenet 100000000000
start_provider
start_client --policies "$scratch/rules" --dns-listen "127.0.0.1:$port_dns" \
    --dns-upstreams "127.0.0.1:$port_one" --dns-upstreams "127.0.0.1:$port_two" \
    --dns-block-files "$scratch/ads.txt" --dns-block-files "$scratch/many.hosts" \
    --dns-private-names corp.example
step "ready, with $(call client dns.status | jq .listed) names on lists"

# ask NAME FLAGS…: what dig prints.
ask() {
    dig @127.0.0.1 -p "$port_dns" +time=9 +tries=1 "$@" 2>&1
}
# gives WANTED NAME FLAGS…: the short answer.
gives() {
    local wanted=$1 got
    shift
    got=$(ask "$@" +short | tr '\n' ' ')
    [[ $got == "$wanted" ]] || fail "$*: $got"
}
# code WANTED NAME FLAGS…
code() {
    local wanted=$1 got
    shift
    got=$(ask "$@")
    [[ $got == *"status: $wanted,"* ]] || fail "$*: $got"
}
counted() {
    call client dns.status | jq ".$1"
}
# Bytes that the open contract has carried, or been charged.
carried() {
    status client | jq '[.connections[] | .bytes_sent + .bytes_received] | add'
}

gives "93.184.216.34 " plain.example
gives "2606:2800:220:1::1 " plain.example AAAA
gives "plain.example. 93.184.216.34 " alias.example
gives "93.184.216.35 " +tcp other.example
grep -q 'plain.example' "$scratch/one.queries" -i || fail "the resolver was not asked"
step "names are found through the provider"

before=$(carried)
asked=$(wc -l < "$scratch/one.queries")
for _ in {1..20}; do
    gives "93.184.216.34 " PLAIN.example
done
[[ $(carried) == "$before" && $(wc -l < "$scratch/one.queries") == "$asked" && $(counted hits) == 20 ]] ||
    fail "known names cost $(($(carried) - before)) bytes, $(counted hits) hits"
gives "93.184.216.36 " third.example
(($(carried) > before)) || fail "an unknown name was free"
step "what is known costs nothing"

[[ $(ask long.example TXT +short | tr -d '" \n' | wc -c) == 2000 ]] || fail "$(ask long.example TXT)"
[[ $(counted streams) == 1 ]] || fail "$(counted streams) streams"
step "a long answer came in a stream"

code NOERROR rebind.example
gives "" rebind.example
gives "10.1.2.4 " corp.example
code NXDOMAIN printer.local
code NXDOMAIN use-application-dns.net
gives "127.0.0.1 " localhost
code NXDOMAIN ads.example
[[ $(ask ads.example) == *"EDE: 15 (Blocked)"* ]] || fail "$(ask ads.example)"
code NXDOMAIN shop.example
gives "0.0.0.0 " a.n77777.listed.example
code NOTIMP example MAILB
code REFUSED version.bind TXT CH
[[ $(counted denied) == 1 ]] || fail "$(call client dns.status)"
! grep -qE 'ads.example|printer|localhost|canary|listed' "$scratch/one.queries" || fail "asked for what is answered here"
step "what is listed, private or special is not let through"

reply=$("$program" dns query plain.example --json --state "$scratch/client")
jq -e '.code == "NOERROR" and .records[0].data == "93.184.216.34"' <<< "$reply" > /dev/null || fail "$reply"
for question in "ads.example: policy journal --hook dns.query" "rebind.example: dns.private_names" \
    "nosuch.printer.local: see how it is spelt" "plain.example TYPE253: Ask for another"; do
    # shellcheck disable=SC2086
    said=$("$program" dns query ${question%%:*} --state "$scratch/client" 2>&1) || true
    [[ $said == *"${question#*: }"* ]] || fail "ww dns query ${question%%:*}: $said"
done
"$program" dns query a..example --state "$scratch/client" 2> "$scratch/said" && fail "a..example is a name"
grep -q "fix: Name it as example.org" "$scratch/said" || fail "$(cat "$scratch/said")"
[[ $("$program" dns status --state "$scratch/client") == *"120002 names on 2 lists"* ]] || fail "dns status"
"$program" dns flush --state "$scratch/client" 2> /dev/null
[[ $(counted cached) == 0 ]] || fail "not flushed"
step "the command line"

# Other lists on a running node, with the policies: all of it or nothing.
is_blocked() {
    [[ $(ask "$1") == *"EDE: 15 (Blocked)"* ]]
}
reload() { # WANTED_EXIT
    local got=0
    "$program" policy reload --state "$scratch/client" > "$scratch/reload.out" 2>&1 || got=$?
    [[ $got == "$1" ]] || fail "reload: exit $got: $(cat "$scratch/reload.out")"
}
gives "93.184.216.34 " plain.example
cp "$scratch/ads.txt" "$scratch/ads.before"
echo plain.example > "$scratch/ads.txt"
kill -HUP "${pid[client]}"
wait_for 10 "the new list" is_blocked plain.example
! is_blocked ads.example || fail "the old list is in force, too"
reload 0
grep -q '120001 names on 2 block lists, as before' "$scratch/reload.out" || fail "$(cat "$scratch/reload.out")"
echo '<html><p>no such page</p></html>' > "$scratch/ads.txt"
reload 1
grep -q 'ads.txt' "$scratch/reload.out" || fail "$(cat "$scratch/reload.out")"
is_blocked plain.example || fail "a broken list took the old one away"
cp "$scratch/ads.before" "$scratch/ads.txt"
cp "$scratch/rules/dns.lua" "$scratch/dns.before"
echo 'return {' > "$scratch/rules/dns.lua"
reload 1
is_blocked plain.example || fail "lists were put in force without their policies"
cp "$scratch/dns.before" "$scratch/rules/dns.lua"
reload 0
gives "93.184.216.34 " plain.example
is_blocked ads.example || fail "the first list is not back"
[[ $(counted listed) == 120002 ]] || fail "$(counted listed) names"
"$program" dns flush --state "$scratch/client" 2> /dev/null
step "other lists, and broken ones"

# A resolver that is there and says nothing: the next one, and from then on that one first.
kill -STOP "${resolver_pid[one]}"
begin=$(now_ms)
gives "93.184.216.35 " other.example
took=$(($(now_ms) - begin))
sent=$(counted 'upstreams[0].sent')
gives "93.184.216.36 " third.example
((took >= 1900)) || fail "a silent resolver was waited for for $took ms"
[[ $(counted 'upstreams[0].sent') == "$sent" ]] || fail "the silent one is still asked first"
# And one that is gone.
kill -TERM "${resolver_pid[two]}"
wait "${resolver_pid[two]}" || true
kill -CONT "${resolver_pid[one]}"
gives "93.184.216.34 " plain.example
call client dns.status | jq -e '.upstreams[1].last_error != null' > /dev/null || fail "$(call client dns.status)"
step "silent after $took ms, gone at once"

# The provider goes and comes back: a question waits as long as an application does.
"$program" dns flush --state "$scratch/client" 2> /dev/null
node_stop provider
ask plain.example > "$scratch/waits.out" &
waits=$!
node_start provider
wait "$waits" || true
code NOERROR plain.example +tries=3
step "a question met the provider's return with $(grep -o 'status: [A-Z]*' "$scratch/waits.out")"

# Settled is what the arbiter calls equal counts; the provider has forgotten what was before.
call client contracts.end > /dev/null || fail "contracts.end"
wait_for 15 "the end of all contracts" all_closed
wait_for 5 "the news of the last settlements" all_told
check_books
step "settled: $(status client | jq -c '[.history[] | .bytes_up + .bytes_down]') bytes"
node_stop client
node_stop provider
node_stop arbiter
step "all held"
