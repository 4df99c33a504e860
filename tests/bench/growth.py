"""What growth.sh fills a broker with, and how it draws what it measured. Nothing but Python's own library.

    growth.py topic HOST:PORT NAME PARTITIONS          creates the topic, if it is not there
    growth.py commit HOST:PORT TOPIC PARTITIONS        commits 0 in all of the partitions, for each group on stdin
    growth.py draw FIGURES.tsv                         writes the plot to stdout
"""

import math
import socket
import struct
import sys
import time

COMMIT, COORDINATOR, CREATE, ENLARGE = 8, 10, 19, 37
# A controller makes ten thousand things in one step and no more.
STEP = 5000


def text(value):
    return struct.pack(">h", len(value)) + value.encode()


class Broker:
    """One connection; requests go out without waiting, answers come in their order."""

    def __init__(self, address):
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), 120)
        self.answers = self.socket.makefile("rb", 1 << 20)

    def send(self, api, version, body):
        head = struct.pack(">hhi", api, version, 0) + text("growth")
        self.socket.sendall(struct.pack(">i", len(head + body)) + head + body)

    def receive(self):
        (size,) = struct.unpack(">i", self.answers.read(4))
        return self.answers.read(size)[4:]


def create(broker, name, partitions):
    # Small indexes: a broker makes them as large as they may become.
    config = text("segment.index.bytes") + text("4096")
    ending = struct.pack(">i?", 120_000, False)
    topic = text(name) + struct.pack(">ihii", min(partitions, STEP), 1, 0, 1) + config
    broker.send(CREATE, 2, struct.pack(">i", 1) + topic + ending)
    if not is_made(broker, name):
        return
    for count in range(2 * STEP, partitions + STEP, STEP):
        more = text(name) + struct.pack(">ii", min(partitions, count), -1)
        broker.send(ENLARGE, 0, struct.pack(">i", 1) + more + ending)
        is_made(broker, name)
    while not is_coordinator(broker):
        time.sleep(0.2)


def is_made(broker, name):
    """Whether the answer says so; it is no error that the topic is there."""
    (error,) = struct.unpack_from(">h", broker.receive(), 4 + 4 + 2 + len(name))
    if error not in (0, 36):
        sys.exit(f"{name}: the broker answers {error}")
    return error == 0


def is_coordinator(broker):
    """Kafka makes its topic of commits when it is first asked who keeps them."""
    broker.send(COORDINATOR, 0, text("growth"))
    return struct.unpack_from(">h", broker.receive())[0] == 0


def commit(broker, groups, topic, partitions):
    places = b"".join(struct.pack(">iqh", partition, 0, 0) for partition in range(partitions))
    rest = struct.pack(">i", -1) + text("") + struct.pack(">q", -1)
    rest += struct.pack(">i", 1) + text(topic) + struct.pack(">i", partitions) + places
    window = 200
    while groups:
        again = []
        for start in range(0, len(groups), window):
            some = groups[start:start + window]
            for group in some:
                broker.send(COMMIT, 2, text(group) + rest)
            for group in some:
                (error,) = struct.unpack_from(">h", broker.receive(), 4 + 2 + len(topic) + 4 + 4)
                if error in (14, 15, 16):
                    again.append(group)
                elif error:
                    sys.exit(f"{group}: the broker answers {error}")
        groups = again
        if groups:
            time.sleep(0.5)


SERIES = {
    "klag --time, partitions": ("#d1495b", "circle"),
    "koldest, partitions": ("#2f7fc1", "square"),
    "klag --time, groups": ("#2a9d63", "triangle"),
}
STYLE = """
  svg { background: #ffffff; }
  .paper { fill: #ffffff; } .ink { fill: #1f2328; } .faint { fill: #59636e; }
  .grid { stroke: #d1d9e0; stroke-width: 1; } .ideal { stroke: #8b949e; stroke-width: 1.2; stroke-dasharray: 5 4; }
  text { font: 13px system-ui, sans-serif; } .head { font-weight: 600; font-size: 15px; }
  @media (prefers-color-scheme: dark) {
    svg { background: #0d1117; } .paper { fill: #0d1117; } .ink { fill: #f0f6fc; } .faint { fill: #9198a1; }
    .grid { stroke: #30363d; }
  }
"""


def mark(shape, x, y, colour):
    if shape == "square":
        return f'<rect x="{x - 4:.1f}" y="{y - 4:.1f}" width="8" height="8" fill="{colour}"/>'
    if shape == "triangle":
        return f'<path d="M{x:.1f} {y - 5.5:.1f}l5.5 9.5h-11z" fill="{colour}"/>'
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.5" fill="{colour}"/>'


class Panel:
    """One pair of logarithmic axes."""

    WIDTH, HEIGHT, TOP = 330, 290, 56

    def __init__(self, left, title, points, unit):
        self.left, self.title, self.unit = left, title, unit
        self.points = points
        xs = [x for line in points.values() for x, _ in line]
        ys = [y for line in points.values() for _, y in line]
        self.x_end = math.ceil(math.log10(max(xs)))
        self.y_first = math.floor(math.log10(min(ys)))
        self.y_end = math.ceil(math.log10(max(ys)))

    def at(self, x, y):
        right = math.log10(x) / self.x_end
        up = (math.log10(y) - self.y_first) / (self.y_end - self.y_first)
        return self.left + right * self.WIDTH, self.TOP + (1 - up) * self.HEIGHT

    def draw(self):
        bottom = self.TOP + self.HEIGHT
        yield f'<text class="ink head" x="{self.left}" y="{self.TOP - 14}">{self.title}</text>'
        for power in range(self.x_end + 1):
            x, _ = self.at(10 ** power, 10 ** self.y_first)
            yield f'<line class="grid" x1="{x:.1f}" y1="{self.TOP}" x2="{x:.1f}" y2="{bottom}"/>'
            yield f'<text class="faint" x="{x:.1f}" y="{bottom + 18}" text-anchor="middle">{10 ** power:,}</text>'
        middle = self.left + self.WIDTH / 2
        yield f'<text class="faint" x="{middle}" y="{bottom + 38}" text-anchor="middle">partitions; groups of ten partitions</text>'
        for power in range(self.y_first, self.y_end + 1):
            _, y = self.at(1, 10.0 ** power)
            yield f'<line class="grid" x1="{self.left}" y1="{y:.1f}" x2="{self.left + self.WIDTH}" y2="{y:.1f}"/>'
            label = f"{10 ** power:,}" if power >= 0 else f"{10.0 ** power:.{-power}f}"
            yield f'<text class="faint" x="{self.left - 7}" y="{y + 4:.1f}" text-anchor="end">{label} {self.unit}</text>'
        yield from self.ideal()
        for name, line in self.points.items():
            colour, shape = SERIES[name]
            places = [self.at(x, y) for x, y in line]
            path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
            yield f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>'
            yield from (mark(shape, x, y, colour) for x, y in places)

    def ideal(self):
        """What ten times as much for ten times as many looks like, through the largest size of all."""
        x, y = max((point for line in self.points.values() for point in line), key=lambda point: point[0])
        first = max(1.0, x * 10 ** self.y_first / y)
        (x1, y1), (x2, y2) = self.at(first, y * first / x), self.at(x, y)
        yield f'<line class="ideal" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def draw(path):
    seconds, mebibytes = {name: [] for name in SERIES}, {name: [] for name in SERIES}
    with open(path, encoding="utf-8") as file:
        for row in file:
            name, size, _, second, mebibyte = row.rstrip("\n").split("\t")
            if name in SERIES:
                seconds[name].append((int(size), float(second)))
                mebibytes[name].append((int(size), float(mebibyte)))
    panels = [Panel(78, "Time of one report", seconds, "s"), Panel(520, "Memory, at the most", mebibytes, "MiB")]
    print('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 900 450" width="900" height="450" role="img"')
    print('     aria-label="Time and memory of klag and koldest over the number of partitions and groups">')
    print(f"<style>{STYLE}</style>")
    print('<rect class="paper" width="900" height="450"/>')
    for panel in panels:
        print("\n".join(panel.draw()))
    x = 78
    for name, (colour, shape) in SERIES.items():
        print(mark(shape, x, 420, colour) + f'<text class="ink" x="{x + 12}" y="424">{name}</text>')
        x += 215
    print(f'<line class="ideal" x1="{x - 12}" y1="420" x2="{x + 18}" y2="420"/>'
          f'<text class="faint" x="{x + 26}" y="424">in proportion</text>')
    print("</svg>")


def main():
    match sys.argv[1:]:
        case ["topic", address, name, partitions]:
            create(Broker(address), name, int(partitions))
        case ["commit", address, topic, partitions]:
            commit(Broker(address), sys.stdin.read().split(), topic, int(partitions))
        case ["draw", path]:
            draw(path)
        case _:
            sys.exit(__doc__)


main()
