"""Runs in the guest, with the mysql charm on its path: `setup` runs MariaDB as the charm does, `load`, `show`."""
# The guest has the charms' modules.
# pyright: reportMissingImports=false

import hashlib
import itertools
import json
import pathlib
import subprocess
import sys
import threading

from slow import TIMES, SlowMachine

CLIENTS = 4
TABLE = "CREATE DATABASE IF NOT EXISTS soak; CREATE TABLE soak.kept (number BIGINT PRIMARY KEY, client INT, text TEXT)"


def setup() -> None:
    """Make a cluster of one member with the charm's own workload module, its options as they are by default."""
    import yaml

    from mysql import MySql
    from state import Config, Member, Recovery, Settings, State

    options = yaml.safe_load(pathlib.Path("/srv/payload/charms/mysql/config.yaml").read_text())["options"]
    values = {name.replace("-", "_"): option["default"] for name, option in options.items()}
    values["buffer_pool_size"] = "64M"
    member = Member(unit="mysql/0", client_address="127.0.0.1", cluster_address="127.0.0.1")
    state = State(
        settings=Settings.parse(Config(**values)),
        cluster_id="5a0e4c3e-soak",
        member=member,
        members={"mysql/0": "127.0.0.1"},
        joins=True,
        recovery=Recovery(),
    )
    mysql = MySql(SlowMachine(), "mysql")
    mysql.install()
    mysql.render(state)
    mysql.apply()
    assert mysql.wait_until_ready(60 * TIMES), "MariaDB does not serve"
    mysql.sql.query(TABLE)


def client(socket: str) -> subprocess.Popen:
    return subprocess.Popen(
        ["mariadb", "--no-defaults", "--batch", "--skip-column-names", "--unbuffered", "--user=root", f"--socket={socket}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )  # fmt: skip


def load() -> None:
    from ledger import Ledger

    from sql import SOCKET

    ledger = Ledger()

    def insert(first: int) -> None:
        connection = client(SOCKET)
        assert connection.stdin
        assert connection.stdout
        for number in itertools.count(first, CLIENTS):
            connection.stdin.write(
                f"INSERT INTO soak.kept VALUES ({number}, {first}, '{text(number)}'); SELECT {number};\n"
            )
            connection.stdin.flush()
            assert connection.stdout.readline() == f"{number}\n", "the server is gone"
            ledger.enter(str(number))

    threads = [threading.Thread(target=insert, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def text(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest() * (number % 32 + 1)


def show() -> list[int]:
    """Return the numbers of the rows that are there and what they were."""
    from openinfra_charm.machine import Machine
    from sql import Sql

    sql = Sql(Machine())
    checked = sql.query("CHECK TABLE soak.kept EXTENDED")
    assert checked[-1][-1] == "OK", checked
    rows = sql.query("SELECT number, text FROM soak.kept")
    return [int(number) for number, found in rows if found == text(int(number))]


if __name__ == "__main__":
    match sys.argv[1]:
        case "setup":
            setup()
        case "load":
            load()
        case "show":
            sys.stdout.write(json.dumps(show()))
