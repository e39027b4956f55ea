# What was seen of both sides, one history entry a line with its side, against the provider's wallet:
# nothing acknowledged changes, nothing is paid twice, nothing proven stays unpaid.
# Arguments: $bytes of each contract, and what the provider has $earned.
def said: map(select(.state != "closing")); # the arbiter has this close
def last_word: (said | last) // last;
def used: .bytes_up + .bytes_down;
def due($used): (($bytes * 100000000 / 1073741824) | ceil) * $used / $bytes | floor;

group_by(.contract) | map(
    .[0].contract as $contract
    | map(select(.side != "held"))
    | [group_by(.side)[]] as $sides
    | (map(select(.side == "provider")) | if length > 0 then last_word | .proven_up + .proven_down else 0 end)
        as $least # receipts that the provider had stored
    # Of a contract that ended just before all who knew of it died, nothing else is known.
    | ($sides | map(last_word | used) | max // $bytes) as $most
    | [.[] | .outcome // empty | fromjson] as $told
    | ($told | map(select(.state == "settled") | .bytes) | unique) as $settled
    | ($told | any(.state == "void")) as $void
    # Both sides agreed on the end, and no crash came between: equal to the byte.
    | ($sides | length == 2 and all(last_word.clean)) as $clean
    | {$contract, $least, $most, $settled, $void, $clean,
       bad: (($clean and ($sides | map(last_word | [.bytes_up, .bytes_down]) | unique | length > 1))
             or ($clean and ($settled | any(. != $most)))
             or ($sides | any(said | map([.bytes_up, .bytes_down]) | unique | length > 1))
             or ($settled | length) + (if $void then 1 else 0 end) > 1
             or ($void and $least > 0)
             or ($settled | any(. < $least or . > $most)))}
    | .low = (if $void then 0 else due($settled[0] // $least) end)
    | .high = (if $void then 0 else due($settled[0] // $most) end))
| {contracts: length, settled: map(select(.settled | length > 0)) | length,
   void: map(select(.void)) | length, clean: map(select(.clean)) | length,
   untold: map(select((.settled | length) == 0 and (.void | not))) | length,
   low: (map(.low) | add), $earned, high: (map(.high) | add), bad: map(select(.bad))}
