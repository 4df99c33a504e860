#!/usr/bin/env bash
# Draws man/session.svg: two terminals, `klag --watch` and a pipe at work, as they really look.
#
# KAFKA_BROKERS=... bash tests/picture.sh
#
# Needs tmux, a Kafka that is empty but for itself, and the programs in the path (or built: target/release,
# target/debug). It makes the topics orders and bills, and the groups billing, search and audit. Without KAFKA_BROKERS
# it tries on the embedded cluster, which can't list groups, so that klag is given their names.
set -euo pipefail
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-target}
PATH="$target/release:$target/debug:$PATH"
command -v tmux >/dev/null || { echo "picture.sh: tmux is missing" >&2; exit 2; }

if [[ -z "${KAFKA_BROKERS:-}" ]]; then
    exec kcat-lite -M 1 -- env KAFKAUTILS_PICTURE="-g billing -g search -g audit -t orders " bash "$0"
fi
which=${KAFKAUTILS_PICTURE:-}

socket=kafkautils-picture-$$
columns=92
folder=$(mktemp -d)
screen() { tmux -L "$socket" "$@"; }
at_end() {
    screen kill-server 2>/dev/null || true
    [[ -z "${shop:-}" ]] || kill "$shop" 2>/dev/null || true
    rm -rf "$folder"
}
trap at_end EXIT

# So many orders: an item, what it costs, and who wants it.
orders() { awk -v count="$1" -v seed="$2" 'BEGIN { srand(seed); split("apples pears plums cherries", fruit, " ");
    for (i = 0; i < count; i++) { cents = 100 + int(rand() * 900)
        printf "%s\t%d.%02d EUR\n", fruit[1 + int(rand() * 4)], cents / 100, cents % 100 } }'; }
read_as() { kcat-lite -G "$1" -q -X auto.offset.reset=earliest "${@:2}" orders >/dev/null; }

# Three groups: one that is quick, one that has stopped, and the one of the pipe below.
orders 2000 1 | kcat-lite -P -q -t orders --tsv
read_as audit -e -X session.timeout.ms=6000
read_as search -X auto.commit.interval.ms=700 &
sleep 3
(
    seed=2
    while sleep 0.2; do orders 60 $((seed++)) | kcat-lite -P -q -t orders --tsv; done
) &
shop=$!

type_in() { screen send-keys -t "$1" -l "$2"; screen send-keys -t "$1" Enter; }
shell=(env -C "$folder" KAFKA_BROKERS="$KAFKA_BROKERS" PATH="$(realpath -s "$target/debug"):$PATH" "PS1=$ " bash --norc --noprofile)
screen -f /dev/null new-session -d -x "$columns" -y 24 -s watch "${shell[@]}"
screen set -g status off
screen new-session -d -x "$columns" -y 24 -s pipe "${shell[@]}"

# Bash is there when it prompts; what is typed before is shown twice.
for terminal in watch pipe; do
    until screen capture-pane -p -t "$terminal" | grep -q '^\$'; do sleep 0.1; done
done
type_in pipe "kcat-lite -G billing -q -X auto.offset.reset=earliest --ack ack --tsv orders |"
type_in pipe "    sed -u 's/ EUR$/ euro/' |"
type_in pipe "    kcat-lite -P -q --ack ack --tsv -t bills &"
sleep 4
type_in watch "klag $which--time --by group --watch 1s"
sleep 3
type_in pipe "kcat-lite -C -t bills -o -2 -e -q -f '%{time}  %k at %s\\n' | sort | tail -3"
sleep 2
type_in pipe "kcat-lite -C -t bills -e -q --tsv | cut -f 1 | sort | uniq -c | sort -nr | head -2"
sleep 3

{ screen capture-pane -p -t watch; printf '\f\n'; screen capture-pane -p -t pipe; } |
    awk -v columns="$columns" '
        function escape(text) { gsub(/&/, "\\&amp;", text); gsub(/</, "\\&lt;", text); gsub(/>/, "\\&gt;", text); return text }
        function coloured(text, colour) { return "<tspan fill=\"" colour "\">" text "</tspan>" }
        # What bash writes before a command, and the command; the names of columns; what has changed.
        function painted(text,    head, rest) {
            if (match(text, /^[$>] /)) return coloured(substr(text, 1, 1), "#7f8ea3") coloured(escape(substr(text, 2)), "#e8edf4")
            if (text ~ /^GROUP /) return coloured(text, "#7cc7e8")
            if (text ~ /every 1s$/) return coloured(text, "#7f8ea3")
            if (match(text, /[+][0-9]+/)) {
                head = escape(substr(text, 1, RSTART - 1)); rest = escape(substr(text, RSTART + RLENGTH))
                return head coloured(substr(text, RSTART, RLENGTH), "#f2a65a") rest
            }
            if (match(text, / -[0-9]+ /)) {
                head = escape(substr(text, 1, RSTART - 1)); rest = escape(substr(text, RSTART + RLENGTH))
                return head coloured(substr(text, RSTART, RLENGTH), "#8fd18a") rest
            }
            return escape(text)
        }
        function window(from, to, title,    i, y) {
            printf "<rect x=\"0\" y=\"%d\" width=\"%d\" height=\"%d\" rx=\"8\" fill=\"#171b22\" stroke=\"#39424f\"/>\n", top, width, (to - from + 1) * 19 + 54
            for (i = 1; i <= 3; i++) printf "<circle cx=\"%d\" cy=\"%d\" r=\"5.5\" fill=\"%s\"/>\n", i * 19, top + 18, dots[i]
            printf "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\" fill=\"#7f8ea3\" font-size=\"12\">%s</text>\n", width / 2, top + 22, title
            for (i = from; i <= to; i++) {
                y = top + 50 + (i - from) * 19
                if (lines[i] != "") printf "<text x=\"16\" y=\"%d\" textLength=\"%.1f\">%s</text>\n", y, length(lines[i]) * 8.43, painted(lines[i])
            }
            top += (to - from + 1) * 19 + 54
        }
        { sub(/[ \t]+$/, "") }
        $0 == "\f" { while (lines[count] == "") count--; first = count; next }
        { lines[++count] = $0 }
        END {
            while (lines[count] == "" || lines[count] == "$") count--
            width = columns * 8.43 + 32; gap = 12
            height = count * 19 + 2 * 54 + gap
            printf "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"-1 -1 %d %d\" role=\"img\">\n", width + 2, height + 2
            print "<title>klag --watch in one terminal, a pipe from topic to topic in another</title>"
            print "<g font-family=\"ui-monospace,Menlo,Consolas,DejaVu Sans Mono,monospace\" font-size=\"14\" fill=\"#c9d3e0\" xml:space=\"preserve\">"
            split("#ff5f57 #febc2e #28c840", dots, " ")
            top = 0
            window(1, first, "klag --time --by group --watch 1s")
            top += gap
            window(first + 1, count, "a pipe from topic to topic that loses nothing")
            print "</g>\n</svg>"
        }' >man/session.svg
echo "man/session.svg"
