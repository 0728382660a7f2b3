"""Publish numbered messages into a quorum queue and take them out again: work.py ACCESS FOLDER.

FOLDER/acknowledged has the numbers that the broker has said are safe, FOLDER/received those that came back, FOLDER/gap the longest time in seconds
between two that were acknowledged. A broker that is away is left for another one.
"""

import itertools
import json
import random
import ssl
import sys
import time
from pathlib import Path

import pika
import pika.exceptions

PAUSE, SECONDS = 0.1, 5


def main(path, folder):
    """Work for ever."""
    begun = int(time.time() * 1000)
    numbers = itertools.count(begun)
    last, longest = time.monotonic(), 0.0
    with (
        Path(folder, "acknowledged").open("a", buffering=1, encoding="ascii") as acknowledged,
        Path(folder, "received").open("a", buffering=1, encoding="ascii") as received,
    ):
        while True:
            access = json.loads(Path(path).read_text(encoding="utf-8"))
            host = random.choice(access["hosts"])
            try:
                with connect(access, host) as connection:
                    channel = connection.channel()
                    channel.confirm_delivery()
                    channel.queue_declare(access["queue"], durable=True, arguments={"x-queue-type": "quorum"})
                    while True:
                        number = next(numbers)
                        channel.basic_publish(
                            "",
                            access["queue"],
                            f"{number}".encode(),
                            pika.BasicProperties(delivery_mode=2),
                            mandatory=True,
                        )
                        print(number, file=acknowledged)
                        longest, last = max(longest, time.monotonic() - last), time.monotonic()
                        Path(f"{folder}/gap").write_text(f"{longest:.1f}\n", encoding="ascii")
                        got, _, body = channel.basic_get(access["queue"])
                        if got:
                            print(body.decode(), file=received)
                            channel.basic_ack(got.delivery_tag)
                        time.sleep(PAUSE)
            except (pika.exceptions.AMQPError, OSError) as error:
                sys.stderr.write(f"{host}: {error!r}\n")
                time.sleep(PAUSE)


def connect(access, host):
    """Return a connection to one broker."""
    context = ssl.create_default_context(cadata=access["ca"])
    parameters = pika.ConnectionParameters(
        host,
        access["port"],
        access["vhost"],
        pika.PlainCredentials(access["username"], access["password"]),
        ssl_options=pika.SSLOptions(context, host),
        socket_timeout=SECONDS,
        stack_timeout=SECONDS,
        blocked_connection_timeout=SECONDS,
        heartbeat=SECONDS,
    )
    return pika.BlockingConnection(parameters)


if __name__ == "__main__":
    main(*sys.argv[1:])
