"""Hook tools: what no recording shows, and that ops can work with all of them."""

from __future__ import annotations

import base64
import contextlib
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ops.hookcmds
import pytest

from openinfra_model.core import actions, configuration, relations

from .play import Play, Run, charm

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

EMPTY = {"type": "object", "properties": {}}
APP = charm(
    "app",
    provides={"server": "http"},
    peers={"cluster": "app-peer"},
    config={"size": 3, "name": "x"},
    storage={"data": (1, 3)},
    resources=["blob"],
    actions={"act": EMPTY},
)
CLIENT = charm("client", requires={"backend": "http"})


def in_hook(play: Play, unit: str, body: Callable[[Run], Any], *, code: int = 0) -> Any:
    """Run a body within a hook of a unit and return what it returned."""
    found: list[Any] = []

    def once(run: Run) -> int:
        if run.unit == unit and not found:
            found.append(body(run))
            return code
        return 0

    play.charm = once
    actions.enqueue_exec(play.state, [unit], "body", now=play.now)
    play.settle()
    return found[0]


@pytest.fixture
def play() -> Play:
    world = Play()
    world.deploy(APP, units=2, resources={"blob": ("/store/blob", "1")})
    world.deploy(CLIENT)
    relations.integrate(world.state, "app", "client", now=world.now)
    world.settle()
    return world


@contextlib.contextmanager
def ops_on(run: Run) -> Iterator[None]:
    """Let ops' hook commands reach the core instead of programs; files are read as the client on a machine does."""

    def call(argv: tuple[str, ...], **options: Any) -> subprocess.CompletedProcess[str]:
        result = run.tool(*(_with_content(word) for word in argv), stdin=options.get("input") or "")
        if result.exit_code:
            raise subprocess.CalledProcessError(result.exit_code, argv, result.stdout, result.stderr)
        return subprocess.CompletedProcess(argv, 0, result.stdout, result.stderr)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(subprocess, "run", call)
        yield


def _with_content(word: str) -> str:
    key, separator, path = word.partition("#file=")
    return f"{key}#base64={base64.b64encode(Path(path).read_bytes()).decode()}" if separator else word


def test_ops_understands_every_answer(play):
    def body(run: Run) -> dict[str, Any]:
        commands = ops.hookcmds
        with ops_on(run):
            commands.app_version_set("7")
            commands.status_set("active", "fine", app=True)
            commands.juju_log("hello", level="INFO")
            commands.relation_set({"url": "x: y"}, id=1)
            commands.relation_set({"all": "1"}, id=1, app=True)
            commands.state_set({"a": "1", "b": "2: 3"})
            commands.state_delete("a")
            commands.open_port("tcp", 8080)
            commands.open_port("udp", 9000, to_port=9010)
            commands.open_port("icmp")
            commands.storage_add({"data": 1})
            secret = commands.secret_add(
                {"password": "s3cret=="}, label="mine", rotate="daily", owner="application"
            )
            commands.secret_set(secret, content={"password": "other"}, description="d")
            commands.secret_grant(secret, 1)
            return {
                "config": commands.config_get(),
                "leader": commands.is_leader(),
                "goal": sorted(commands.goal_state().units),
                "network": commands.network_get("server").bind_addresses[0].addresses[0].value,
                "relations": commands.relation_ids("server"),
                "members": commands.relation_list(1),
                "remote": commands.relation_list(1, app=True),
                "own": commands.relation_get(1, unit="app/0")["url"],
                "model": commands.relation_model_get(1).uuid == play.state.model.uuid,
                "resource": str(commands.resource_get("blob")),
                "secret": commands.secret_get(label="mine"),
                "info": commands.secret_info_get(label="mine").rotation,
                "ids": len(commands.secret_ids()),
                "state": commands.state_get(None),
                "status": commands.status_get(app=True).message,
                "storage": commands.storage_get("data/0").kind,
                "storages": commands.storage_list("data"),
                "ports": commands.opened_ports(),
            }

    assert in_hook(play, "app/0", body) == {
        "config": {"name": "x", "size": 3},
        "leader": True,
        "goal": ["app/0", "app/1"],
        "network": "10.0.0.1",
        "relations": ["server:1"],
        "members": ["client/0"],
        "remote": "client",
        "own": "x: y",
        "model": True,
        "resource": "/var/lib/juju/agents/unit-app-0/resources/blob.bin",
        "secret": {"password": "other"},
        "info": "daily",
        "ids": 1,
        "state": {"b": "2: 3"},
        "status": "fine",
        "storage": "filesystem",
        "storages": ["data/0"],
        "ports": [],
    }
    after = in_hook(
        play, "app/0", lambda run: (run.ask("opened-ports"), run.ask("storage-list"), run.ask("state-get"))
    )
    assert after == (["icmp", "8080/tcp", "9000-9010/udp"], ["data/0", "data/2"], {"b": "2: 3"})


def test_what_a_failed_hook_wrote_is_forgotten(play):
    def body(run: Run) -> None:
        run.tool("open-port", "80")
        run.tool("relation-set", "-r", "1", "a=b")
        run.tool("secret-add", "--owner", "unit", "key=value")
        run.tool("state-set", "a=b")
        run.tool("status-set", "blocked", "shows at once")

    in_hook(play, "app/0", body, code=1)
    unit = play.state.units["app/0"]
    assert (unit.ports, unit.charm_state, len(play.state.secrets)) == ((), {}, 0)
    assert "a" not in play.state.relations["1"].units["app/0"].content
    assert unit.workload.message == "shows at once"


def test_settings_of_a_file_are_strings_as_they_are_written(play):
    """Juju unmarshals them to strings (relation-set's and state-set's --file)."""
    text = "a: yes\nb: 10:30\nc: 0x10\nd: 2026-11-22\ne: 1.50\n"
    written = in_hook(
        play, "app/0", lambda run: (run.tool("state-set", "--file", "-", stdin=text), run.ask("state-get"))[1]
    )
    assert written == {"a": "yes", "b": "10:30", "c": "0x10", "d": "2026-11-22", "e": "1.50"}


@pytest.mark.parametrize(
    ("argv", "code", "error"),
    [
        (["config-get", "--nope"], 2, "option provided but not defined: --nope"),
        (["config-get", "--format=xml"], 2, 'invalid value "xml" for option --format: unknown format "xml"'),
        (["relation-get"], 2, "no relation id specified"),
        (["relation-get", "-r", "server:1"], 2, "no unit id specified"),
        (["relation-set", "-r", "1", "word"], 2, 'expected "key=value", got "word"'),
        (["relation-ids"], 2, "no endpoint name specified"),
        (["storage-get", "-s", "data/9"], 2, 'invalid value "data/9" for option -s: storage not found'),
        (["storage-add", "nope"], 2, 'invalid storage "nope"'),
        (["open-port", "0/tcp"], 2, "port range bounds must be between 1 and 65535, got 0-0"),
        (["open-port", "80", "--endpoints", "nope"], 1, 'endpoint "nope" not found'),
        (["secret-add"], 2, "no secret value specified"),
        (["secret-add", "k=v"], 2, 'key "k" not valid'),
        (["secret-add", "--rotate", "often", "key=v"], 2, 'rotate policy "often" not valid'),
        (["secret-add", "--expire", "soon", "key=v"], 2, 'expire time or duration "soon" not valid'),
        (["unit-get", "nope"], 2, 'unknown setting "nope"'),
        (["action-set", "Bad=1"], 2, ('key "Bad" must start and end with lowercase alphanumeric, and contain only'
         " lowercase alphanumeric, hyphens and periods")),
        (["nonsense"], 1, 'unknown command "nonsense"'),
    ],
)  # fmt: skip
def test_misuse_is_refused(play, argv, code, error):
    result = in_hook(play, "app/0", lambda run: run.tool(*argv))
    assert (result.exit_code, result.stderr) == (code, f"ERROR {error}\n")


@pytest.mark.parametrize(
    ("argv", "printed"),
    [
        (["is-leader"], "True\n"),
        (["config-get", "size"], "3\n"),
        (["config-get", "name"], "x\n"),
        (["config-get"], "name: x\nsize: 3\n"),
        (["config-get", "--format", "yaml", "name"], "x\n"),
        (["relation-list", "-r", "server:1"], "client/0\n"),
        (["relation-ids", "server"], "server:1\n"),
        (["unit-get", "private-address"], "10.0.0.1\n"),
        (["network-get", "server", "--ingress-address"], "10.0.0.1\n"),
        (["storage-get", "-s", "data/0", "kind"], "filesystem\n"),
        (["opened-ports"], ""),
        (["secret-ids"], ""),
    ],
)
def test_smart_and_yaml_output(play, argv, printed):
    assert in_hook(play, "app/0", lambda run: run.tool(*argv)).stdout == printed


def test_a_port_of_a_machine_belongs_to_one_unit(play):
    in_hook(play, "app/0", lambda run: run.tool("open-port", "8000-8010"))
    play.deploy(APP, "other", to=["0"], resources={"blob": ("/b", "1")})
    play.settle()
    result = in_hook(play, "other/0", lambda run: run.tool("open-port", "8005/tcp"))
    assert result.stderr == (
        'ERROR cannot open 8005/tcp (unit "other/0"): port range conflicts with 8000-8010/tcp (unit "app/0")\n'
    )
    assert in_hook(play, "other/0", lambda run: run.tool("open-port", "8005/udp")).exit_code == 0
    in_hook(play, "app/0", lambda run: run.tool("close-port", "8000-8010"))
    assert in_hook(play, "other/0", lambda run: run.tool("open-port", "8005/tcp")).exit_code == 0


def test_credentials_need_trust(play):
    assert in_hook(play, "app/0", lambda run: run.tool("credential-get")).exit_code == 1
    configuration.set_trust(play.state, "app", trusted=True)
    assert in_hook(play, "app/0", lambda run: run.ask("credential-get"))["type"] == "lxd"


def test_an_unknown_context_is_refused(play):
    assert play.core.tool("gone", ["is-leader"], "", play.now).exit_code == 1


def test_a_reboot_comes_after_the_hook():
    world = Play(charm=lambda run: run.tool("juju-reboot").exit_code if run.name == "install" else 0)
    world.deploy(CLIENT)
    for _ in range(2):
        world.step()
    assert [machine.id for machine in world.core.machines_to_reboot()] == ["0"]
    world.reboot("0")
    assert world.core.machines_to_reboot() == []


def test_a_reboot_now_ends_the_hook():
    asked: list[bool] = []

    def reboots(run: Run) -> int:
        if run.name == "install":
            asked.append(run.tool("juju-reboot", "--now").reboot)
        return 0

    world = Play(charm=reboots)
    world.deploy(CLIENT)
    world.settle()
    assert asked == [True]
