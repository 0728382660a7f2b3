"""RabbitMQ's programs: what is made of what they say. Texts are those of RabbitMQ 4.0.5."""

import base64
import hashlib
import json

import pytest

from control import Control, RefusedError, UnreachableError
from openinfra_charm.machine import Result
from openinfra_charm.testing import MemoryMachine

DOWN = """\
Error: unable to perform an operation on node 'rabbit@rabbitmq-1'. Please see diagnostics information and suggestions below.

Most common reasons for this are:

 * Target node is unreachable (e.g. due to hostname resolution, TCP connection or firewall issues)

Current node details:
 * Erlang cookie hash: VLA/vTQwBCME147+CRVVpw==
"""
WAITS = """\
Error: this command requires the 'rabbit' app to be running on the target node. Start it with 'rabbitmqctl start_app'.
Arguments given:
\t--silent list_users --formatter json
"""
RUNS = """\
Error:
RabbitMQ on node rabbit@rabbitmq-1 must be stopped with 'rabbitmqctl -n rabbit@rabbitmq-1 stop_app' before it can be removed
"""
UNKNOWN = """\
Error:
{:not_a_cluster_node, ~c"The node selected is not in the cluster."}
"""

SHRINKS = """\
Error:
RabbitMQ failed to shrink some entities on node rabbit@rabbitmq-1 : Quorum queues
"""


def control(answer, program="rabbitmqctl"):
    machine = MemoryMachine()
    machine.handlers[program] = lambda argv, stdin: answer
    return Control(machine), machine


def failed(code, stderr):
    return Result(code=code, stdout="", stderr=stderr)


@pytest.mark.parametrize(("code", "said"), [(69, DOWN), (64, WAITS)])
def test_a_node_that_does_not_serve_is_no_refusal_and_nothing_of_its_cookie_is_repeated(code, said):
    with pytest.raises(UnreachableError) as error:
        control(failed(code, said))[0].vhosts()
    assert str(error.value) == "RabbitMQ does not serve here"


def test_a_refusal_is_told_in_one_line():
    with pytest.raises(RefusedError) as error:
        control(failed(69, RUNS))[0].forget("rabbit@rabbitmq-1")
    assert str(error.value).startswith("RabbitMQ on node rabbit@rabbitmq-1 must be stopped with")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("said", [UNKNOWN, SHRINKS])
def test_what_is_forgotten_is_forgotten(said):
    control(failed(69, said))[0].forget("rabbit@rabbitmq-1")


def test_what_takes_too_long_does_not_answer():
    machine = MemoryMachine()
    machine.handlers["timeout"] = lambda *_: failed(124, "")
    with pytest.raises(UnreachableError, match="rabbitmqctl list_vhosts did not end within 30 s"):
        Control(machine).vhosts()
    assert machine.argv[0].startswith("timeout --kill-after=5 30 rabbitmqctl --silent list_vhosts")


def test_a_child_that_outlasts_its_limit_is_no_answer_either():
    def runs_on(*_):
        raise TimeoutError("timeout did not end within 40 s")

    machine = MemoryMachine()
    machine.handlers["timeout"] = runs_on
    with pytest.raises(UnreachableError, match="rabbitmqctl list_vhosts did not end within 30 s"):
        Control(machine).vhosts()


def test_the_clusters_status_is_read():
    answer = {
        "disk_nodes": ["rabbit@rabbitmq-1", "rabbit@rabbitmq-0"], "running_nodes": ["rabbit@rabbitmq-0"], "partitions": {},
        "alarms": [{"node": "rabbit@rabbitmq-0", "resource": "memory", "type": "resource_limit"}],
        "maintenance_status": {"rabbit@rabbitmq-0": "not under maintenance", "rabbit@rabbitmq-1": "marked for maintenance"},
    }  # fmt: skip
    status = control(json.dumps(answer))[0].cluster_status()
    assert status.members == ("rabbit@rabbitmq-0", "rabbit@rabbitmq-1")
    assert status.running == ("rabbit@rabbitmq-0",)
    assert status.alarms == ("memory on rabbit@rabbitmq-0",)
    assert status.draining == ("rabbit@rabbitmq-1",)


def test_members_of_queues_come_through_erlangs_way_to_print_a_text():
    rows = [{"vhost": "nova", "name": "compute.é", "nodes": ["rabbit@rabbitmq-0", "rabbit@rabbitmq-2"]}]
    encoded = base64.b64encode(json.dumps(rows).encode()).decode()
    answer = f'<<"{encoded[:30]}"\n  "{encoded[30:]}">>\n'
    assert control(answer)[0].membership() == {
        ("nova", "compute.é"): ("rabbit@rabbitmq-0", "rabbit@rabbitmq-2")
    }


def test_queues_without_a_leader_are_named():
    said = {"result": "error", "queues": [{"readable_name": "queue 'q1' in vhost 'nova'"}]}
    text = json.dumps(said, separators=(",", ":"))
    answer = Result(code=70, stdout=text, stderr="")
    assert control(answer, "rabbitmq-diagnostics")[0].leaderless() == ["queue 'q1' in vhost 'nova'"]
    assert control('{"result":"ok"}', "rabbitmq-diagnostics")[0].leaderless() == []


def test_a_user_is_made_from_a_file_that_is_the_brokers_alone_and_has_no_password():
    machine, seen = MemoryMachine(), []

    def handler(argv, _):
        path = argv[-1]
        seen.append(
            (
                argv[2],
                machine.nodes[path].mode,
                machine.nodes[path].owner,
                json.loads(machine.read(path) or ""),
            )
        )

    machine.handlers["rabbitmqctl"] = handler
    Control(machine).make_user("relation-7-1", "p@ss", "nova")
    ((verb, mode, owner, found),) = seen
    assert (verb, mode, owner) == ("import_definitions", 0o600, ("rabbitmq", "rabbitmq"))
    assert found["vhosts"] == [{"name": "nova", "metadata": {"default_queue_type": "quorum"}}]
    raw = base64.b64decode(found["users"][0]["password_hash"])
    assert raw[4:] == hashlib.sha256(raw[:4] + b"p@ss").digest()
    assert "p@ss" not in json.dumps(found)
    assert "p@ss" not in " ".join(machine.argv)
    assert not [path for path, node in machine.nodes.items() if node.is_file]


def test_nothing_of_the_file_is_left_where_it_is_refused():
    broker, machine = control(failed(70, "Error:\nno\n"))
    with pytest.raises(RefusedError):
        broker.make_user("relation-7-1", "p@ss", "nova")
    assert not [path for path, node in machine.nodes.items() if node.is_file]


def test_a_broker_that_cannot_join_goes_on_as_it_was():
    machine, ran = MemoryMachine(), []

    def handler(argv, _):
        ran.append(argv[2])
        return failed(69, "Error:\n{:cannot_discover_cluster}\n") if argv[2] == "join_cluster" else None

    machine.handlers["rabbitmqctl"] = handler
    with pytest.raises(RefusedError, match="cannot_discover_cluster"):
        Control(machine).join("rabbit@rabbitmq-0")
    assert ran == ["stop_app", "join_cluster", "start_app"]
