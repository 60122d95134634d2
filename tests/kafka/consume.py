"""Prints each message of a topic as a line of JSON: consume.py ADDRESS TOPIC."""

import base64
import json
import sys

from kafka import KafkaConsumer, TopicPartition
from kafka.partitioner.default import murmur2

address, topic = sys.argv[1:]
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


while any(consumer.position(one) < ends[one] for one in partitions):
    for messages in consumer.poll(timeout_ms=1000).values():
        for message in messages:
            print(json.dumps({
                "partition": message.partition,
                "timestamp": message.timestamp,
                "key": message.key.decode() if message.key is not None else None,
                "headers": {name: value.decode() for name, value in message.headers},
                "of_key": of_key(message.key),
                **fields(message),
            }))
