# Replays the transcripts of a page of the documents: source it after lib.sh, and set `page`.
page=${page:-}

# block LANGUAGE NUMBER: the text of a code block of the page.
block() {
    awk -v begin="\`\`\`$1" -v number="$2" '$0 == begin { count++; inside = 1; next }
        /^```$/ { inside = 0 } inside && count == number' "$page"
}

# What differs from program to program, and from run to run.
plain() {
    sed -E 's/generation [a-z2-7]{10}$/generation/; s/in force: [a-z2-7]{10},/in force:/; s/[0-9]+ tests/tests/;
        s/of [0-9]+ decisions/of decisions/; s/\([0-9]+ instructions\)/(instructions)/'
}

# replay NUMBER: runs what stands behind "$ " in a text block; all that is printed must be as there.
replay() {
    local line
    block text "$1" | plain > "$scratch/expected"
    [[ -s $scratch/expected ]] || fail "the page has no block $1"
    grep '^\$ ' "$scratch/expected" | while IFS= read -r line; do
        echo "$line"
        (cd "$scratch" && ww() { "$program" "${@//DECISION/${decision:-}}"; } && eval "${line#\$ }" 2>&1) || true
    done | plain > "$scratch/printed"
    diff -u "$scratch/expected" "$scratch/printed" || fail "the page says otherwise"
}
