#!/usr/bin/env python3
"""Asks real implementations where they put keys that partitions.tsv does not have; prints more.tsv.

Needs chdb, confluent-kafka and cassandra-driver from PyPI, a Redis with cluster-enabled
on REDIS_PORT, and psql that reaches a PostgreSQL server (PGHOST, PGPORT, PGUSER).
Keys are written as in partitions.tsv, several columns joined by a comma, and besides:
`bytes:N` and `ascii:N` are N bytes of a fixed pattern (see `pattern`).
"""
import ctypes
import glob
import os
import random
import re
import socket
import subprocess
import sys
import uuid

import cassandra.metadata
import chdb
import confluent_kafka

LENGTHS = [*range(131), 200, 239, 240, 241, 255, 256, 257, 1000, 4096, 65537]
COUNTS = [12, 100]
random.seed(20260101)
UUIDS = [str(uuid.UUID(int=random.getrandbits(128))) for _ in range(20)]
NUMBERS = sorted({0, 1, -1, 42, *(s * 2**p + d for p in (7, 8, 15, 16, 31, 32, 62, 63) for s in (1, -1) for d in (-1, 0, 1))})
NUMBERS += [random.getrandbits(64) - 2**63 for _ in range(20)]


def pattern(kind, length):
    spread = [(i * i * 31 + i * 7 + length * 13 + 5) % 256 for i in range(length)]
    return bytes(spread if kind == "bytes" else [33 + b % 94 for b in spread])


def row(algo, impl, key, count, hash_, place):
    print(algo, impl, key, count, hash_, place, sep="\t")


def librdkafka():
    impl = "librdkafka " + confluent_kafka.libversion()[0]
    folder = os.path.join(os.path.dirname(os.path.dirname(confluent_kafka.__file__)), "confluent_kafka.libs")
    library = ctypes.CDLL(glob.glob(folder + "/librdkafka*.so*")[0])
    for name in ["consistent", "murmur2", "fnv1a"]:
        place = library["rd_kafka_msg_partitioner_" + name]
        for length in LENGTHS:
            key = pattern("bytes", length)
            for count in COUNTS + [2147483647]:
                found = place(None, ctypes.c_char_p(key), ctypes.c_size_t(length), ctypes.c_int32(count), None, None)
                row(name, impl, f"bytes:{length}", count, "", found)


def clickhouse():
    impl = "chdb " + str(chdb.query("select version()", "TSV")).strip()

    def ask(function, keys):
        expressions = [e for _, e in keys]
        query = f"select arrayJoin([{','.join(f'toUInt64({function}({e}))' for e in expressions)}])"
        return zip([k for k, _ in keys], map(int, str(chdb.query(query, "TSV")).split()))

    functions = ["cityHash64", "xxHash64", "xxHash32", "sipHash64", "murmurHash3_32", "kafkaMurmurHash", "CRC32"]
    for function in functions + ["intHash32", "intHash64"]:
        if not function.startswith("int"):
            keys = [(f"bytes:{n}", f"unhex('{pattern('bytes', n).hex()}')") for n in LENGTHS]
            for key, hash_ in ask(function, keys):
                row(f"clickhouse:{function}", impl, key, 100, hash_, hash_ % 100)
        if not function.startswith("int") and function != "CRC32":
            for key, hash_ in ask(function, [(f"uuid:{u}", f"toUUID('{u}')") for u in UUIDS]):
                row(f"clickhouse:{function}:uuid", impl, key, 100, hash_, hash_ % 100)
        if function != "CRC32":
            for bits in (8, 16, 32, 64):
                for sign, low in (("Int", -(2 ** (bits - 1))), ("UInt", 0)):
                    keys = [n for n in NUMBERS + [2**64 - 1] if low <= n < low + 2**bits]
                    keys = [(f"int:{n}", f"to{sign}{bits}('{n}')") for n in keys]
                    for key, hash_ in ask(function, keys):
                        row(f"clickhouse:{function}:{sign.lower()}{bits}", impl, key, 100, hash_, hash_ % 100)
    for count in [1, 2, 12, 1000, 32768]:
        query = f"select arrayJoin([{','.join(f'jumpConsistentHash(toInt64({n}),{count})' for n in NUMBERS if abs(n) < 2**63)}])"
        found = str(chdb.query(query, "TSV")).split()
        for n, place in zip([n for n in NUMBERS if abs(n) < 2**63], found):
            row("jump", impl, f"int:{n}", count, "", place)


def postgres():
    def psql(script):
        done = subprocess.run(["psql", "-XAtqF\t", "-v", "ON_ERROR_STOP=1"], input=script, text=True, capture_output=True)
        if done.returncode:
            sys.exit(done.stderr)
        return done.stdout.splitlines()

    impl = "PostgreSQL " + psql("show server_version")[0].split()[0]

    def literal(key):
        kind, _, rest = key.partition(":")
        if kind == "\\N":
            return "NULL"
        if kind == "bytes":
            return f"'\\x{pattern(kind, int(rest)).hex()}'"
        return "$k$" + (pattern(kind, int(rest)).decode() if kind == "ascii" else rest) + "$k$"

    def ask(types, keys, count):
        columns = [f"c{i}" for i in range(len(types))]
        script = ["begin;", f"create table t (id int, {','.join(map(' '.join, zip(columns, types)))}) partition by hash ({','.join(columns)});"]
        script += [f"create table t_{i} partition of t for values with (modulus {count}, remainder {i});" for i in range(count)]
        rows = [f"({i},{','.join(map(literal, key))})" for i, key in enumerate(keys)]
        script += [f"insert into t values {','.join(rows)};", "select id, tableoid::regclass from t order by id;", "rollback;"]
        for line in psql("\n".join(script)):
            i, leaf = line.split("\t")
            row("postgres:" + ",".join(types), impl, ",".join(keys[int(i)]), count, "", re.sub(".*_", "", leaf))

    fits = lambda bits: [f"int:{n}" for n in NUMBERS if -(2 ** (bits - 1)) <= n < 2 ** (bits - 1)]
    single = {"text": [f"ascii:{n}" for n in LENGTHS], "bytea": [f"bytes:{n}" for n in LENGTHS], "uuid": [f"uuid:{u}" for u in UUIDS]}
    single |= {"bigint": fits(64), "int": fits(32), "smallint": fits(16)}
    for kind, keys in single.items():
        for count in COUNTS:
            ask([kind], [[key] for key in keys + ["\\N"]], count)
    for types in ["text,bigint", "bigint,text", "uuid,int", "bigint,bigint,text", "smallint,bytea,uuid,int"]:
        types = types.split(",")
        keys = [[random.choice(single[kind] + ["\\N"]) for kind in types] for _ in range(60)]
        ask(types, keys + [["\\N"] * len(types)], 100)


def redis():
    connection = socket.create_connection(("127.0.0.1", int(os.environ["REDIS_PORT"])))
    answers = connection.makefile("rb")

    def ask(*words):
        connection.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words))
        return answers.readline().strip()

    ask(b"INFO", b"server")
    version = answers.read(0) and ""
    while not version:
        line = answers.readline()
        version = line.startswith(b"redis_version:") and line.split(b":")[1].strip().decode()
    while answers.readline().strip() != b"":
        pass
    tags = [bytes(random.choice(b"{}ab\xff") for _ in range(random.randint(1, 9))) for _ in range(200)]
    for name, key in [(f"bytes:{n}", pattern("bytes", n)) for n in LENGTHS] + [(t.hex(), t) for t in tags]:
        slot = ask(b"CLUSTER", b"KEYSLOT", key)
        row("redis", "Redis " + version, name, "", "", int(slot[1:]))


def cassandra_driver():
    for length in LENGTHS:
        token = cassandra.metadata.Murmur3Token.hash_fn(pattern("bytes", length))
        row("cassandra", "cassandra-driver " + cassandra.__version__, f"bytes:{length}", "", "", token)


print("algo", "impl", "key", "partitions", "hash", "partition", sep="\t")
for family in (librdkafka, clickhouse, postgres, cassandra_driver, redis):
    print(family.__name__, file=sys.stderr)
    family()
