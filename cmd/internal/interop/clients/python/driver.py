"""The driver of confluent-kafka for Python, which brings a librdkafka of its own. See README.md beside this directory."""

import sys

import confluent_kafka
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

TIMEOUT_SECONDS = 60


def publish(address, topic, codec):
    producer = Producer({"bootstrap.servers": address, "compression.type": codec})
    failures = []

    def delivered(error, _):
        if error:
            failures.append(error)

    for line in sys.stdin.buffer:
        while True:
            try:
                producer.produce(topic, line.rstrip(b"\n"), on_delivery=delivered)
                break
            except BufferError:
                producer.poll(0.1)
        producer.poll(0)
    left = producer.flush(TIMEOUT_SECONDS)
    if failures or left:
        sys.exit(f"{left} records are not acknowledged, the first error is {failures[:1]}")


def read(address, topic, group, count):
    consumer = Consumer({"bootstrap.servers": address, "group.id": group or "unused", "auto.offset.reset": "earliest"})
    if group:
        consumer.subscribe([topic])
    else:
        consumer.assign([TopicPartition(topic, 0, confluent_kafka.OFFSET_BEGINNING)])
    printed = 0
    while count == 0 or printed < count:
        message = consumer.poll(1)
        if message is None:
            continue
        if message.error():
            sys.exit(str(message.error()))
        sys.stdout.buffer.write(message.value() + b"\n")
        if group:
            sys.stdout.buffer.flush()
        printed += 1
    # Closing commits what was handed out, and leaves the group.
    consumer.close()


def topics(address, topic):
    admin = AdminClient({"bootstrap.servers": address})
    for future in admin.create_topics([NewTopic(topic, 3, 1)]).values():
        future.result(TIMEOUT_SECONDS)
    print("partitions", len(admin.list_topics(topic, TIMEOUT_SECONDS).topics[topic].partitions))
    for future in admin.delete_topics([topic]).values():
        future.result(TIMEOUT_SECONDS)
    print("deleted")


def groups(address, group):
    admin = AdminClient({"bootstrap.servers": address})
    listed = admin.list_consumer_groups().result(TIMEOUT_SECONDS)
    if any(g.group_id == group for g in listed.valid):
        print("listed")
    described = admin.describe_consumer_groups([group])[group].result(TIMEOUT_SECONDS)
    print(described.state.name, len(described.members))


def main(command, *args):
    if command == "version":
        print(f"{confluent_kafka.version()} (librdkafka {confluent_kafka.libversion()[0]})")
    elif command == "publish":
        publish(*args)
    elif command == "consume":
        read(args[0], args[1], None, int(args[2]))
    elif command == "member":
        read(args[0], args[1], args[2], int(args[3]))
    elif command == "topics":
        topics(*args)
    elif command == "groups":
        groups(*args)
    else:
        sys.exit("usage: see README.md")


main(*sys.argv[1:])
