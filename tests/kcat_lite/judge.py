"""Compares two topics record by record: partition, key, value, headers, timestamp. Prints `same N` or what differs."""
import sys
from confluent_kafka import Consumer, KafkaError, TopicPartition


def records(bootstrap, topic):
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "judge", "enable.partition.eof": True})
    partitions = consumer.list_topics(topic, 30).topics[topic].partitions
    consumer.assign([TopicPartition(topic, partition, 0) for partition in partitions])
    found, open_partitions = [], len(partitions)
    while open_partitions:
        messages = consumer.consume(10000, 1)
        for message in messages:
            if message.error() and message.error().code() == KafkaError._PARTITION_EOF:
                open_partitions -= 1
            elif message.error():
                raise SystemExit(str(message.error()))
            else:
                found.append((message.partition(), message.offset(), message.key(), message.value(),
                              message.headers(), message.timestamp()))
    consumer.close()
    return sorted(found, key=lambda record: record[:2])


left, right = (records(sys.argv[1], topic) for topic in sys.argv[2:4])
for a, b in zip(left, right):
    if a != b:
        raise SystemExit(f"{a}\n{b}")
print("same" if len(left) == len(right) else f"{len(left)} and", len(right))
