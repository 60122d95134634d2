"""Prints each message of a topic as a line of JSON: consume.py ADDRESS TOPIC.

With a third argument only the sums of documents are printed.
"""

import base64
import json
import sys

from kafka import KafkaConsumer, TopicPartition
from kafka.partitioner.default import murmur2

address, topic, *sums_only = sys.argv[1:]
consumer = KafkaConsumer(bootstrap_servers=address, fetch_max_bytes=50_000_000)
numbers = consumer.partitions_for_topic(topic) or []
partitions = [TopicPartition(topic, number) for number in sorted(numbers)]
consumer.assign(partitions)
consumer.seek_to_beginning(*partitions)
ends = consumer.end_offsets(partitions)


def of_key(key):
    """The partition that Kafka's own producer gives this key."""
    return None if key is None else (murmur2(key) & 0x7FFFFFFF) % len(partitions)


def fields(message):
    """The fields of a document that tests compare."""
    if dict(message.headers).get("content-type") != b"application/json":
        return {"message": base64.b64encode(message.value).decode()}
    document = json.loads(message.value)
    network = document.get("network", {})
    return {
        "id": document["event"].get("id"),
        "packets": network.get("packets"),
        "octets": network.get("bytes"),
        "conversation": network.get("community_id"),
    }


def messages():
    """Each message that was there in the beginning."""
    while any(consumer.position(one) < ends[one] for one in partitions):
        for some in consumer.poll(timeout_ms=1000).values():
            yield from some


def print_all():
    for message in messages():
        print(json.dumps({
            "partition": message.partition,
            "timestamp": message.timestamp,
            "key": message.key.decode() if message.key is not None else None,
            "headers": {name: value.decode() for name, value in message.headers},
            "of_key": of_key(message.key),
            **fields(message),
        }))


def print_sums():
    ids = set()
    sums = dict.fromkeys(["messages", "packets", "octets"], 0)
    of_partitions = [0] * len(partitions)
    for message in messages():
        document = fields(message)
        ids.add(document["id"])
        sums["messages"] += 1
        sums["packets"] += document["packets"]
        sums["octets"] += document["octets"]
        of_partitions[message.partition] += 1
    print(json.dumps({**sums, "ids": len(ids), "partitions": of_partitions}))


if sums_only:
    print_sums()
else:
    print_all()
