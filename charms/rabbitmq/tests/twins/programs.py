"""A machine in memory with RabbitMQ's programs, and a systemd that runs the broker."""

from __future__ import annotations

import base64
import dataclasses
import json
import re
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import twin
from cryptography import x509

from openinfra_charm.daemon import tls
from openinfra_charm.machine import Answer, Result
from openinfra_charm.testing import Cryptography, Request
from openinfra_charm.values import bracketed

if TYPE_CHECKING:
    from openinfra_charm.testing import MemoryMachine

UNIT = "rabbitmq-server.service"
CONFIG, ENVIRONMENT = "/etc/rabbitmq/rabbitmq.conf", "/etc/rabbitmq/rabbitmq-env.conf"
DATA = "/var/lib/rabbitmq/mnesia"
START = "/usr/lib/openinfra/rabbitmq-may-start"
COOKIE = "/var/lib/rabbitmq/.erlang.cookie"
DOWN = "Error: unable to perform an operation on node '{}'. Please see diagnostics information and suggestions below."
STOPPED = "Error: this command requires the 'rabbit' app to be running on the target node. Start it with 'rabbitmqctl start_app'."


@cache
def certificates(text: str) -> list[Any]:
    """Return the certificates of a PEM text."""
    return x509.load_pem_x509_certificates(text.encode())


class RabbitMq(Cryptography):
    """RabbitMQ's programs and its broker on one machine; `version` is the package's.

    `runs` tells that the Erlang machine does, `app` that its broker is not stopped by `stop_app`, `serves` that it does, `pauses`
    that it is on the smaller side. `chain` and `ca` are what it has read of its certificate. `alarms` are those that are on.
    """

    def __init__(
        self, brokers: twin.Brokers, machine: MemoryMachine, address: str, version: str = "4.0.5-4"
    ) -> None:
        super().__init__()
        self.brokers = brokers
        self.machine = machine
        self.address = address
        self.version = version
        self.runs = self.serves = self.pauses = False
        self.app = True
        self.chain = self.ca = ""
        self.alarms: set[str] = set()
        self.partitions: dict[str, list[str]] = {}
        """What is told of partitions; that they do anything is not played."""
        self.flags = ""
        self._start = 0
        self._known = ""
        self.programs = {
            "rabbitmqctl": self._ctl,
            "rabbitmq-diagnostics": self._ctl,
            "rabbitmq-queues": self._ctl,
            "rabbitmq-upgrade": self._ctl,
            "systemctl": self._systemctl,
        }
        machine.network["http://127.0.0.1:15692"] = self._answer_metrics
        for other in list(brokers.nodes.values()):
            self._meet(other)
            other._meet(self)
        self._meet(self)
        brokers.nodes[self.name] = self

    def _meet(self, other: RabbitMq) -> None:
        self.machine.network[f"https://{bracketed(other.address)}:15691"] = partial(other._answer_metrics)

    # Its disk

    @property
    def name(self) -> str:
        """The node's name, by its configuration; before there is one, the machine's."""
        found = re.search(r"^NODENAME=(.*)$", self.machine.read(ENVIRONMENT) or "", re.MULTILINE)
        name = found[1] if found else f"none@{self.machine.name}"
        if name != self._known:
            self.brokers.nodes.pop(self._known, None)
            self._known = name
            self.brokers.nodes[name] = self
        return name

    @property
    def _folder(self) -> str:
        return f"{DATA}/{self.name}"

    def load(self) -> twin.Store | None:
        """Return what is on the disk; None where nothing is."""
        text = self.machine.read(f"{self._folder}/store.json")
        return twin.Store(**json.loads(text)) if text else None

    def save(self, store: twin.Store) -> None:
        """Put all on the disk, as every change does."""
        self.machine.have(f"{self._folder}/store.json", json.dumps(dataclasses.asdict(store)), mode=0o640)
        seen = ",".join(f"'{name}'" for name in store.seen)
        self.machine.have(f"{self._folder}/nodes_running_at_shutdown", f"[{seen}].\n", mode=0o640)

    def members(self) -> list[str]:
        """Return the nodes that it takes for members of its cluster."""
        store = self.load()
        return store.members if store else []

    def number(self) -> int:
        """Return how new its metadata are."""
        store = self.load()
        return store.number if store else -1

    def take_force(self) -> bool:
        """Return whether it was told not to wait for others, for once."""
        path = f"{self._folder}/force_load"
        told = self.machine.exists(path)
        if told:
            self.machine.lose(path)
        return told

    # What happens on it

    def version_of(self, package: str) -> str | None:
        """Return the version of RabbitMQ's package."""
        return self.version if package == "rabbitmq-server" else None

    def can_run(self, unit: str) -> bool:
        """Return whether the broker is let start, and has its files."""
        if unit != UNIT:
            return True
        permission = re.search(r"-e (\S+)", self.machine.read(START) or "")
        allowed = self.load() is not None or (permission is not None and self.machine.exists(permission[1]))
        return allowed and bool(self.machine.read(COOKIE)) and bool(self._certificate()[0])

    def services_changed(self) -> None:
        """Notice that the broker has started or ended."""
        active = self.machine.powered and self.machine.serves(UNIT)
        count = self.machine.starts.get(UNIT, 0)
        if self.runs and (not active or count != self._start):
            self.runs = self.pauses = False
            self.brokers.stopped(self)
        if active and not self.runs:
            self.runs, self.app, self._start = True, True, count
            self.chain, self.ca = self._certificate()
            self.brokers.started(self)
        self.brokers.tick()

    def time_passed(self) -> None:
        """Let nodes find each other, certificates be read again, and clients publish."""
        self.services_changed()
        if self.runs:
            self.chain, self.ca = self._certificate()
        self.brokers.time_passed(self.machine.time.now)

    def _certificate(self) -> tuple[str, str]:
        paths = dict(
            re.findall(
                r"^ssl_options\.(certfile|keyfile|cacertfile) = (.*)$",
                self.machine.read(CONFIG) or "",
                re.MULTILINE,
            )
        )
        chain, key, ca = (
            self.machine.read(paths.get(name, "")) or "" for name in ("certfile", "keyfile", "cacertfile")
        )
        return (chain, ca) if key else ("", "")

    def talks_to(self, other: RabbitMq) -> bool:
        """Return whether a new connection to another node comes about: each takes the other's certificate, and knows where it is."""
        known = {line.split()[-1] for line in self._hosts()}
        return other.name.partition("@")[2] in known and self._takes(other) and other._takes(self)

    def _hosts(self) -> list[str]:
        found = re.search(r'hosts_file, "(.*)"', self.machine.read(self._resolver()) or "")
        lines = (self.machine.read(found[1]) or "").splitlines() if found else []
        return [line for line in lines if line and not line.startswith("#")]

    def _resolver(self) -> str:
        found = re.search(r"^ERL_INETRC=(.*)$", self.machine.read(ENVIRONMENT) or "", re.MULTILINE)
        return found[1] if found else ""

    def _takes(self, other: RabbitMq) -> bool:
        if not (other.chain and self.ca):
            return False
        leaf, *between = certificates(other.chain)
        begins, ends = tls.validity(leaf)
        names = leaf.extensions.get_extension_for_class(
            x509.SubjectAlternativeName
        ).value.get_values_for_type(x509.DNSName)
        signers = [*between, *certificates(self.ca)]
        signed = any(signer.subject == leaf.issuer for signer in signers)
        return begins <= self.machine.now() < ends and signed and other.name.partition("@")[2] in names

    # Its metrics

    def _answer_metrics(self, request: Request) -> Answer:
        self.services_changed()
        store = self.load()
        if not (self.machine.powered and self.serves) or (store and self.name in store.draining):
            raise ConnectionRefusedError(request.path)
        lines = [
            f'rabbitmq_build_info{{rabbitmq_version="{self.version.partition("-")[0]}",erlang_version="27"}} 1'
        ]
        members = self.members()
        lines += [
            f'erlang_vm_dist_node_state{{peer="{one.name}"}} 3'
            for one in self.brokers.serving(members)
            if one is not self
        ]
        names = ("memory_used", "free_disk_space")
        lines += [f"rabbitmq_alarms_{name}_watermark {int(name in self.alarms)}" for name in names]
        return Answer(status=200, headers={}, body="\n".join(lines) + "\n")

    # Its programs

    def _systemctl(self, argv: tuple[str, ...], stdin: str | None) -> None:
        verb, unit = (word for word in argv[1:] if not word.startswith("--"))
        if verb != "kill":
            self.machine._systemctl((argv[0], verb, unit), stdin)
            return
        self.machine.log.append(f"kill {unit}")
        if unit == UNIT and self.runs:
            self.runs = self.pauses = False
            self.brokers.stopped(self)
        self.machine._start(unit)

    def _ctl(self, argv: tuple[str, ...], _stdin: str | None) -> Result:
        self.services_changed()
        words = [
            word for word in argv[1:] if word not in {"--silent", "--formatter", "json", "--errors-only"}
        ]
        verb, arguments = words[0], words[1:]
        if verb == "force_boot":
            self.machine.have(f"{self._folder}/force_load", "")
            return _said("")
        if not self.runs:
            return _failed(69, DOWN.format(self.name))
        if verb in {"stop_app", "start_app", "join_cluster"}:
            return self._change_app(verb, arguments)
        if not self.serves:
            return _failed(64, STOPPED)
        return getattr(self, f"_{verb}")(*arguments)

    def _change_app(self, verb: str, arguments: list[str]) -> Result:
        if verb == "stop_app":
            self.app = self.pauses = False
            self.brokers.stopped(self)
        elif verb == "start_app":
            self.app = True
            self.brokers.tick()
        else:
            try:
                self.brokers.join(self, arguments[0])
            except twin.RefusalError as error:
                return _failed(69, f"Error:\n{error}")
        return _said("")

    def _cluster_status(self) -> Result:
        store = self.load()
        assert store
        running = [one.name for one in self.brokers.serving(store.members)]
        status = {
            "disk_nodes": store.members, "running_nodes": running, "partitions": self.partitions,
            "alarms": [{"resource": name, "node": self.name, "type": "resource_limit"} for name in sorted(self.alarms)],
            "maintenance_status": {
                name: "marked for maintenance" if name in store.draining else "not under maintenance" for name in store.members
            },
        }  # fmt: skip
        return _said(json.dumps(status))

    def _forget_cluster_node(self, node: str) -> Result:
        try:
            self.brokers.forget(self, node)
        except twin.RefusalError as error:
            return _failed(69, f"Error:\n{error}")
        return _said("")

    def _enable_feature_flag(self, _flag: str) -> Result:
        self.flags = self.version
        return _said("")

    def _eval(self, expression: str) -> Result:
        if "clear_pem_cache" in expression:
            self.chain, self.ca = self._certificate()
            return _said("ok\n")
        if "force_all_queues_shrink" in expression:
            self.brokers.keep_own(self)
            return _said("ok\n")
        store = self.load()
        assert store
        rows = [{"vhost": "/", "name": queue, "nodes": on} for queue, on in store.queues.items()]
        return _said(f'<<"{base64.b64encode(json.dumps(rows).encode()).decode()}">>\n')

    def _check_if_node_is_quorum_critical(self) -> Result:
        if critical := self.brokers.critical(self):
            return _failed(
                69,
                f"Error:\nThere are {len(critical)} quorum queues that would lose their quorum if the target node is shut down.",
            )
        return _said("")

    def _check_for_quorum_queues_without_an_elected_leader(self, _option: str, _pattern: str) -> Result:
        store = self.load()
        assert store
        found = [
            {"readable_name": f"queue '{one}' in vhost '/'"}
            for one in store.queues
            if not self.brokers._leads(one, self)
        ]
        said = json.dumps({"queues": found}, separators=(",", ":"))
        return Result(code=70 if found else 0, stdout=said, stderr="")

    def _drain(self) -> Result:
        self.brokers.change(self, lambda store: store.draining.append(self.name))
        return _said("")

    def _revive(self) -> Result:
        self.brokers.change(
            self, lambda store: store.draining.remove(self.name) if self.name in store.draining else None
        )
        return _said("")

    def _grow(self, node: str, _strategy: str) -> Result:
        self.brokers.grow(self, node)
        return _said("")

    def _shrink(self, node: str) -> Result:
        self.brokers.shrink(self, node)
        return _said("")

    def _list_vhosts(self, _column: str) -> Result:
        store = self.load()
        assert store
        return _said(json.dumps([{"name": name} for name in store.vhosts]))

    def _list_queues(self, _option: str, vhost: str, *_columns: str) -> Result:
        store = self.load()
        assert store
        rows = [
            {
                "name": queue, "type": "quorum", "messages": len(store.messages.get(queue, [])), "consumers": 0,
                "leader": self.brokers.serving(on)[0].name if self.brokers._leads(queue, self) else "",
                "members": on, "online": [one.name for one in self.brokers.serving(on)],
            }
            for queue, on in store.queues.items()
        ]  # fmt: skip
        return _said(json.dumps(rows if vhost == "/" else []))

    def _list_users(self) -> Result:
        store = self.load()
        assert store
        return _said(json.dumps([{"user": name, "tags": []} for name in store.users]))

    def _import_definitions(self, path: str) -> Result:
        node = self.machine.nodes[path]
        assert (node.mode, node.owner) == (0o600, ("rabbitmq", "rabbitmq"))
        found = json.loads(self.machine.read(path) or "{}")

        def change(store: twin.Store) -> None:
            store.vhosts = sorted({*store.vhosts, *(one["name"] for one in found["vhosts"])})
            store.users |= {one["name"]: one["password_hash"] for one in found["users"]}
            store.rights |= {one["user"]: one["vhost"] for one in found["permissions"]}

        self.brokers.change(self, change)
        return _said("")

    def _delete_user(self, user: str) -> Result:
        self.brokers.change(self, lambda store: (store.users.pop(user, None), store.rights.pop(user, None)))
        return _said("")


def _said(text: str) -> Result:
    return Result(code=0, stdout=text, stderr="")


def _failed(code: int, words: str) -> Result:
    return Result(code=code, stdout="", stderr=f"{words}\n")
