#!/usr/bin/env bash
# `ww repl` on a real terminal, typed on by tmux: completion, inputs of several lines, history, Ctrl-C,
# paste, another size, the end.
set -euo pipefail
source "$(dirname "$0")/lib.sh"
unset WW_CONTROL WW_KEY WW_STATE WW_ARBITER NO_COLOR TMUX

server=0

terminal() {
    tmux -S "$scratch/tmux$server" -f /dev/null "$@"
}

screen() {
    terminal capture-pane -p -S -200 > "$scratch/screen"
}

shows() {
    screen && grep -qF -- "$1" "$scratch/screen"
}

# The screen's last line with something in it.
last() {
    screen && [[ $(grep . "$scratch/screen" | tail -n 1) == "$1" ]]
}

# A whole row is this.
row() {
    screen && grep -qxF -- "$1" "$scratch/screen"
}

# keys KEY…: by tmux's names. typed TEXT: as it is. expect TEXT: somewhere. ends TEXT: the last line.
keys() {
    terminal send-keys "$@"
}

typed() {
    terminal send-keys -l -- "$1"
}

expect() {
    wait_on_screen shows "$1"
}

ends() {
    wait_on_screen last "$1"
}

wait_on_screen() {
    local until=$(($(now_ms) + 10000))
    until "$@"; do
        (($(now_ms) < until)) || fail "no '$2' ($1) on the screen: $(grep . "$scratch/screen")"
        sleep 0.05
    done
}

# start_repl ARGUMENT…: in a terminal of 80 x 24, which then shows its exit code.
start_repl() {
    server=$((server + 1))
    terminal new-session -d -x 80 -y 24 "env TERM=xterm-256color LANG=C $program repl --state $scratch/arbiter $*
        echo exit code \$?; stty -a | grep -o -- ' [-]*icanon'; sleep 60" > /dev/null 2>&1 9>&-
    ends "ww arbiter>"
}

start_arbiter

step "an expression, and completion of names, fields and ids"
start_repl
typed '20 + 3'
keys Enter
ends 'ww arbiter>'
shows '23' || fail "no result"
typed 'con'
keys Tab
ends 'ww arbiter> contracts'
typed '.li'
keys Tab
ends 'ww arbiter> contracts.list'
keys C-u
typed 'node.'
keys Tab
expect 'config  delta'
ends 'ww arbiter> node.'
typed 'status().upt'
keys Tab
ends 'ww arbiter> node.status().uptime_s'
keys C-u
typed 'metrics.get("ww_rea'
keys Tab
ends 'ww arbiter> metrics.get("ww_ready"'
keys C-u
typed 'mine = { alpha = 77 }'
keys Enter
typed 'mi'
keys Tab
typed '.a'
keys Tab Enter
expect '77'

step "an input of several lines is one of the history"
typed 'for i = 1, 2 do'
keys Enter
typed '  print("line " .. i * 50)'
keys Enter
typed 'end'
keys Enter
expect 'line 100'
keys Up
ends 'end'
keys C-c
ends 'ww arbiter>'
keys Up Up
ends 'ww arbiter> mine.alpha'
keys Home
typed '1 + '
keys End
typed '0'
keys Left Delete Enter
expect '78'

step "ids that the node has, help, apropos, JSON, a test that is saved, delta"
join alice alicenet
typed 'networks.get("al'
keys Tab
ends 'ww arbiter> networks.get("alicenet"'
typed ').nodes == 1'
keys Enter
ends 'ww arbiter>'
shows 'true' || fail "the completed id is not the node's: $(grep . "$scratch/screen" | tail -n 6)"
typed 'help "contract.of'
keys Tab
ends 'ww arbiter> help "contract.offer"'
keys Enter
expect 'a contract that a client asks for'
typed 'apropos "backup"'
keys Enter
expect 'ledger.backup(path)'
typed '\js'
keys Tab
keys Enter
expect 'Results are JSON'
typed '{ b = 1, a = 2 }'
keys Enter
expect '{"value":{"a":2,"b":1},"version":1}'
typed '\json'
keys Enter
expect 'Results are Lua'
typed '{ b = 1, a = 2 }'
keys Enter
expect '{ a = 2, b = 1 }'
typed 'policy.try("contract.offer").decision'
keys Enter
expect '"accept"'
typed '\save-test '"$scratch"'/a.test.lua'
keys Enter
expect '.test.lua: 1.'
grep -q 'same(got.decision, "accept")' "$scratch/a.test.lua" || fail "the saved test: $(cat "$scratch/a.test.lua")"
typed 'delta()'
keys Enter
expect 'nothing was set by hand'

step "UTF-8"
typed '#"ä€"'
keys Left Left BSpace Enter
ends 'ww arbiter>'
expect '#"€"'
shows '3' || fail "a character was not taken whole"

step "Ctrl-C ends what runs, and what is typed"
typed 'print("spin" .. "ning") while true do end'
keys Enter
expect 'spinning'
keys C-c
expect 'Interrupted'
ends 'ww arbiter>'
typed 'garbage('
ends 'ww arbiter> garbage('
keys C-c
ends 'ww arbiter>'
keys C-r
typed 'mine.al'
ends 'bck:mine.al'
keys C-c
ends 'ww arbiter>'
typed '6 * 111'
keys Enter
expect '666'
typed '\watch 0.1 "again"'
keys Enter
expect '"again"'
keys C-c
ends 'ww arbiter>'

step "a paste runs only when Enter is pressed"
terminal set-buffer -b pasted $'x = 700\nfor i = 1, 2 do\n\tprint(i + x)\nend\nx + 1000'
terminal paste-buffer -p -b pasted
ends 'x + 1000'
! shows 701 || fail "the paste ran by itself"
keys Enter
expect 701
expect 1700
ends 'ww arbiter>'

step "another size"
terminal resize-window -x 40 -y 15
typed '"0123456789012345678901234567890123456789"'
keys Enter
ends 'ww arbiter>'
wait_on_screen row '7890123456789"'
terminal resize-window -x 80 -y 24
typed '6 * 37'
terminal resize-window -x 70 -y 24
keys Enter
expect 222
! shows 'ww arbiter> ww arbiter>' || fail "the prompt is there twice"

step "a reason is in the prompt's words; Ctrl-D ends, and gives the terminal back"
typed '\write looking around'
keys Enter
ends 'ww arbiter admin#'
keys C-d
expect 'exit code 0'
expect ' icanon'
terminal kill-server

step "the history lasts, is private, and is shared"
file=$HOME/state/ww/repl_history
[[ $(stat -c %a "$file") == 600 ]] || fail "others may read the history"
grep -q '^"for i = 1, 2 do\\n' "$file" || fail "the history has no input of several lines: $(cat "$file")"
for _ in $(seq 1200); do echo '"filler"'; done >> "$file"
start_repl
keys Up
ends 'ww arbiter> filler'
[[ $(wc -l < "$file") == 1000 ]] || fail "the history has $(wc -l < "$file") inputs"

step "the end of the node ends the session"
keys C-u
node_stop arbiter
expect 'The node has gone'
expect 'exit code 69'
expect ' icanon'
terminal kill-server
step "all held"
