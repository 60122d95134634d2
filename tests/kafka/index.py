"""Writes each document of a topic into a data stream, until it is killed.

index.py ADDRESS TOPIC NODES STREAM: addresses of the nodes are separated by commas. A document that
is there already, by its event.id, is not written again.
"""

import http.client
import itertools
import json
import sys
import time
import urllib.request

from kafka import KafkaConsumer, TopicPartition

address, topic, nodes, stream = sys.argv[1:]
nodes = itertools.cycle(nodes.split(","))
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def write(values):
    """Writes documents. Returns those that have to be written again."""
    lines = []
    for value in values:
        action = {"create": {"_id": json.loads(value)["event"]["id"]}}
        lines += [json.dumps(action).encode(), value.strip()]
    kind = {"content-type": "application/x-ndjson"}
    url = f"{next(nodes)}/{stream}/_bulk"
    request = urllib.request.Request(url, b"\n".join(lines) + b"\n", kind)
    try:
        with opener.open(request, timeout=30) as answer:
            items = json.load(answer)["items"]
    except (OSError, http.client.HTTPException):
        time.sleep(0.2)
        return values
    again = []
    for value, item in zip(values, items):
        status = item["create"]["status"]
        if status in (429, 503):
            again.append(value)
        elif status not in (201, 409):
            raise SystemExit(f"{item}")
    return again


consumer = KafkaConsumer(bootstrap_servers=address, metadata_max_age_ms=2000)
numbers = consumer.partitions_for_topic(topic)
partitions = [TopicPartition(topic, number) for number in sorted(numbers)]
consumer.assign(partitions)
consumer.seek_to_beginning(*partitions)
while True:
    messages = consumer.poll(timeout_ms=500).values()
    left = [message.value for some in messages for message in some]
    while left:
        left = write(left)
