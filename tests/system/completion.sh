#!/usr/bin/env bash
# What Tab offers in bash for every command: subcommands, options, hooks, sets, verdicts, files, and what
# the node that runs here has. First as bash asks for it, then in a bash on a real terminal.
set -euo pipefail
source "$(dirname "$0")/lib.sh"
unset WW_CONTROL WW_KEY WW_STATE WW_ARBITER NO_COLOR TMUX

mkdir "$scratch/bin"
ln -s "$program" "$scratch/bin/ww"
export PATH=$scratch/bin:$PATH
ww completion bash > "$scratch/ww.bash"
compopt() { asked=$*; } # of the shell's own completion, which is none here
# shellcheck source=/dev/null
source "$scratch/ww.bash"

# offers EXPECTED WORD…: what is offered for the last word, in one line; a "…" at its end stands for more.
offers() {
    local expected=$1
    shift
    asked=''
    COMP_WORDS=(ww "$@")
    COMP_CWORD=$#
    _ww
    local got="${COMPREPLY[*]}${asked:+ [$asked]}"
    [[ $got == "$expected" || ($expected == *… && $got == "${expected%…}"*) ]] ||
        fail "for 'ww $*' it offers '$got', not '$expected'"
}

step "words that need no node"
offers 'policy' po
offers 'check coverage diff drop journal log promote reload replay rollback rules shadow test trace try what-if why' policy ''
offers 'contract flow' policy trace ''
offers 'flow' policy trace f
offers 'contract.accept contract.close contract.offer contract.renew' policy try contract.
offers 'flow.verdict' policy journal --hook fl
offers '--set' policy try contract.offer --se
offers 'default generous strict [-o plusdirs]' policy try contract.offer --set ''
offers 'strict [-o plusdirs]' policy check s
offers 'strict [-o plusdirs]' policy reload st
offers ' [-o default -o bashdefault]' policy try contract.offer --input ''
offers 'strict [-o plusdirs]' provider --policies = st
offers 'debug error info warn' client --log-level ''
offers 'admin' arbiter --repl-level a
offers 'both_malicious client_fault client_malicious no_fault provider_fault provider_malicious undecided' dispute decide 0123 ''
offers 'arbiter client provider [-o plusdirs]' repl ''
offers 'check new show' key ''
offers 'lift list' ban li
offers 'bash fish zsh' completion ''
offers 'config-reference' help config
offers 'exit-codes' help exit
offers ' [-o default -o bashdefault]' ledger restore ''
offers '' policy what-if --bytes ''
offers '' nonsense ''
offers '' wallet credit --id ''

step "nobody is there: nothing is offered, at once"
begin=$(now_ms)
offers '' wallet show ''
offers '' policy why --state "$scratch/nowhere" ''
(($(now_ms) - begin < 5000)) || fail "it took $(($(now_ms) - begin)) ms"

step "what a node has"
start_arbiter
join alice alicenet
join bob bobnet
at=(--state "$scratch/arbiter")
offers 'alicenet bobnet' wallet show "${at[@]}" ''
offers 'bobnet' wallet credit "${at[@]}" bo
offers 'sol usd xch' wallet credit "${at[@]}" bobnet ''
offers 'alicenet bobnet lift list' ban "${at[@]}" ''
offers '1' policy rollback "${at[@]}" ''
offers '1' policy diff "--state" = "$scratch/arbiter" 1 ''
WW_CONTROL=$scratch/arbiter/control.sock offers 'alicenet' wallet show al
[[ $(call arbiter policy.journal '{}' | jq '.decisions | length') -gt 0 ]] || fail "no decision yet"
id=$(call arbiter policy.journal '{}' | jq -r '.decisions[0].id')
offers "$id" policy why "${at[@]}" "$id"
ww ban alicenet --reason x --confirm alicenet "${at[@]}" > /dev/null
offers 'alicenet' ban lift "${at[@]}" ''
kill -STOP "${pid[arbiter]}"
begin=$(now_ms)
offers '' wallet show "${at[@]}" ''
took=$(($(now_ms) - begin))
kill -CONT "${pid[arbiter]}"
((took < 3000)) || fail "a node that hangs keeps the shell for $took ms"

terminal() {
    tmux -S "$scratch/tmux" -f /dev/null "$@"
}
shows() {
    terminal capture-pane -p > "$scratch/screen" && grep -qF -- "$1" "$scratch/screen"
}
# stands LINE: that is the last line that the shell is asked on, and the cursor is behind it.
stands() {
    [[ $(terminal display-message -p '#{cursor_x}') == "${#1}" ]] && terminal capture-pane -p > "$scratch/screen" &&
        [[ $(grep '^>>' "$scratch/screen" | tail -n 1) == "${1% }" ]]
}
# begin_shell COMMAND SETUP: in a folder of its own. The server must not hold what a test's caller waits
# for, or outlive a failure for long.
begin_shell() {
    terminal new-session -d -x 120 -y 40 "cd '$scratch'; HOME='$scratch' timeout --foreground 90 $1" > /dev/null 2>&1 9>&-
    wait_for 10 "the prompt" shows '>>'
    terminal send-keys -l -- "$2"
    terminal send-keys Enter
    wait_for 10 "an empty screen" stands '>>'
}
# tab LINE SHOWN: types it, and Tab. Nothing is typed ahead, as Tab runs programs on the terminal.
tab() {
    terminal send-keys -l -- "$1"
    wait_for 10 "the echo of '$1'" stands ">>$1"
    terminal send-keys Tab
    wait_for 10 "'$2' after '$1'" stands "$2"
    terminal send-keys C-u
    wait_for 10 "an empty line" stands '>>'
}
mkdir "$scratch/my-rules"
ww completion zsh > "$scratch/ww.zsh"
ww completion fish > "$scratch/ww.fish"
for shell in bash zsh fish; do
    step "in $shell on a terminal"
    case $shell in
    bash) begin_shell "env PS1='>>' bash --norc --noprofile" 'source ww.bash; clear' ;;
    zsh) begin_shell "env PS1='>>' zsh -f" 'autoload -U compinit; compinit -D; source ./ww.zsh; clear' ;;
    fish)
        begin_shell "fish --no-config --init-command 'function fish_prompt; echo -n \">>\"; end; set -g fish_autosuggestion_enabled 0; set -g fish_greeting'" \
            'source ww.fish; clear'
        ;;
    esac
    tab 'ww pol' '>>ww policy '
    tab 'ww policy trace co' '>>ww policy trace contract '
    tab 'ww policy try flow' '>>ww policy try flow.verdict '
    tab 'ww policy check str' '>>ww policy check strict '
    tab 'ww policy check my-r' '>>ww policy check my-rules/'
    tab 'ww provider --policies=gen' '>>ww provider --policies=generous '
    tab 'ww ledger restore ww.b' '>>ww ledger restore ww.bash '
    tab 'ww wallet show --state arbiter bo' '>>ww wallet show --state arbiter bobnet '
    terminal kill-server
    wait_for 10 "the terminal's end" eval '! terminal list-sessions 2> /dev/null'
done
node_stop arbiter
step "all held"
