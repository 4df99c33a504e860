#!/usr/bin/env bash
# Draws man/session.svg: a terminal with `klag --watch` above and a pipe at work below, as they really look.
#
# bash tests/picture.sh
#
# Needs tmux and the programs in the path (or built: target/release, target/debug). With KAFKA_BROKERS the pictures are
# of that cluster, in which topics and a group named shop are made; without, of the embedded one.
set -euo pipefail
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-target}
PATH="$target/release:$target/debug:$PATH"
command -v tmux >/dev/null || { echo "picture.sh: tmux is missing" >&2; exit 2; }

if [[ -z "${KAFKA_BROKERS:-}" ]]; then
    exec kcat-lite -M 1 -- bash "$0"
fi

socket=kafkautils-picture-$$
columns=124 rows=27
screen() { tmux -L "$socket" "$@"; }
trap 'screen kill-server 2>/dev/null || true' EXIT

# Sales in four partitions, of which a group has read some.
sales() { awk 'BEGIN { srand(7); split("apples pears plums cherries", fruit, " ");
    for (i = 0; i < 400; i++) { f = fruit[1 + int(rand() * 4)]; print f "\t" int(1 + rand() * 9) } }'; }
sales | kcat-lite -P -q -t sales --tsv
kcat-lite -G shop -q -c 250 -X auto.offset.reset=earliest sales >/dev/null

screen -f /dev/null new-session -d -x "$columns" -y "$rows" "PS1='$ ' bash --norc --noprofile"
screen set -g status off
screen split-window -v -l 14 "PS1='$ ' bash --norc --noprofile"
screen send-keys -t 0 'klag -g shop --time --by topic --watch 1s' Enter
sleep 3
screen send-keys -t 1 -l "kcat-lite -C -t sales -e -q --tsv |"
screen send-keys -t 1 Enter
screen send-keys -t 1 -l "    awk -F '\\t' '{ n[\$1] += \$2 } END { for (k in n) print k \"\\t\" n[k] }' |"
screen send-keys -t 1 Enter
screen send-keys -t 1 -l "    sort | tee /dev/stderr | kcat-lite -P -q -t totals --tsv"
screen send-keys -t 1 Enter
sleep 1
screen send-keys -t 1 -l "kcat-lite -C -t totals -e -q -f '%k sold %s\\n' | head -2"
screen send-keys -t 1 Enter
sleep 1
# More sales arrive while somebody watches.
sales | kcat-lite -P -q -t sales --tsv
sleep 1.5

# PS2 is what bash writes before the second line of a command.
{ screen capture-pane -p -t 0; printf '\f\n'; screen capture-pane -p -t 1; } |
    awk -v columns="$columns" '
        function escape(text) { gsub(/&/, "\\&amp;", text); gsub(/</, "\\&lt;", text); gsub(/>/, "\\&gt;", text); return text }
        { sub(/[ \t]+$/, "") }
        $0 == "\f" { while (count > 0 && lines[count] == "") count--; lines[++count] = "\f"; next }
        { lines[++count] = $0 }
        END {
            while (lines[count] == "") count--
            width = columns * 8.43 + 32; height = count * 18 + 58
            printf "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" role=\"img\">\n", width, height
            print "<title>klag --watch above, a pipe between two topics below</title>"
            printf "<rect width=\"%d\" height=\"%d\" rx=\"8\" fill=\"#1b1f27\"/>\n", width, height
            split("#ff5f57 #febc2e #28c840", dots, " ")
            for (i = 1; i <= 3; i++) printf "<circle cx=\"%d\" cy=\"18\" r=\"6\" fill=\"%s\"/>\n", i * 20, dots[i]
            print "<g font-family=\"ui-monospace,Menlo,Consolas,DejaVu Sans Mono,monospace\" font-size=\"14\" fill=\"#d8dee9\" xml:space=\"preserve\">"
            for (i = 1; i <= count; i++) {
                y = 36 + i * 18
                if (lines[i] == "\f") { printf "<path d=\"M0 %d H%d\" stroke=\"#4c566a\"/>\n", y - 5, width; continue }
                colour = ""
                if (lines[i] ~ /^[$>] /) colour = " fill=\"#a3be8c\""
                else if (lines[i] ~ /^GROUP /) colour = " fill=\"#88c0d0\""
                if (lines[i] != "") printf "<text x=\"16\" y=\"%d\"%s textLength=\"%.1f\">%s</text>\n", y, colour, length(lines[i]) * 8.43, escape(lines[i])
            }
            print "</g>\n</svg>"
        }' >man/session.svg
echo "man/session.svg"
