"""The command line: its verbs, what it refuses, and Juju's formats."""

from __future__ import annotations

import argparse
import ast
import importlib
import inspect
import io
import json
import subprocess
from pathlib import Path

import pytest
import yaml

from openinfra_model import cli
from openinfra_model.cli import client as clients
from openinfra_model.cli import verb as verbs
from openinfra_model.cli.output import show, table
from openinfra_model.cli.status_table import status_table
from openinfra_model.core.verbs import CHANGES, VERBS, VIEWS

from . import charms

RECORDED = Path(__file__).parents[4] / "tests/conformance/juju-trace"

# What jubilant and the tests of the charms call, and an operator knows from Juju.
JUJU_VERBS = [
    "actions", "add-machine", "add-model", "add-secret", "add-storage", "add-unit", "attach-resource",
    "bind", "cancel-task", "config", "constraints", "controllers", "debug-log", "deploy", "destroy-model",
    "detach-storage", "exec", "expose", "grant-secret", "integrate", "machines", "model-config", "models",
    "operations", "refresh", "relate", "remove-application", "remove-machine", "remove-relation",
    "remove-secret", "remove-storage", "remove-unit", "resolved", "resources", "revoke-secret", "run",
    "scp", "secrets", "set-constraints", "show-application", "show-model", "show-operation", "show-secret",
    "show-status-log", "show-task", "show-unit", "ssh", "status", "storage", "switch", "trust", "unexpose",
    "update-secret", "version",
]  # fmt: skip
OWN_VERBS = ["down", "graph", "pack", "rehearse", "relock", "test", "up", "watch"]


def test_the_verbs_are_those_of_juju_and_our_own():
    assert sorted(name for names in cli.MODULES.values() for name in names) == sorted(
        [*JUJU_VERBS, *OWN_VERBS]
    )


@pytest.mark.parametrize(
    ("module", "name"), [(module, name) for module, names in cli.MODULES.items() for name in names]
)
def test_every_verb_is_declared_where_it_is_looked_for_and_explains_itself(module, name):
    found = importlib.import_module(f"openinfra_model.cli.{module}")
    chosen = verbs.VERBS[name]
    assert chosen.run.__module__ == found.__name__
    assert chosen.run.__doc__
    with pytest.raises(SystemExit) as ended:
        verbs.parse(name, chosen, ["--help"])
    assert ended.value.code == 0


def test_a_rehearsal_plays_what_is_usual_unless_told_otherwise():
    importlib.import_module("openinfra_model.cli.rehearsal")
    rehearse = verbs.VERBS["rehearse"]
    played = [verbs.parse("rehearse", rehearse, words).usual for words in ([], ["--usual"], ["--no-usual"])]
    assert played == [True, True, False]


def calls():
    """Return what the command line asks the controller: the place, the verb, and the names of its arguments."""
    for path in sorted(Path(cli.__file__).parent.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr == "call"
            ):
                (name,) = map(ast.literal_eval, node.args)
                yield f"{path.name}:{node.lineno}", name, {keyword.arg for keyword in node.keywords}


def controller_verbs(service):
    return {**VERBS, **service.own_verbs, **service.model_verbs}


def test_what_the_command_line_asks_fits_the_verbs(controller):
    known = controller_verbs(controller.service)
    for place, name, given in calls():
        parameters = inspect.signature(known[name]).parameters
        required = {key for key, item in parameters.items() if item.default is item.empty}
        assert given <= {*parameters, None}, place  # None stands for **arguments
        assert None in given or required - {"now", "runner", "state"} <= given, place


def test_every_verb_of_the_controller_is_asked_by_the_command_line(controller):
    assert sorted(controller_verbs(controller.service)) == sorted({name for _, name, _ in calls()})


def test_what_may_be_asked_again_changes_nothing():
    assert not [name for name in VIEWS if not name.startswith(clients.READ_ONLY)]
    assert not [name for name in CHANGES if name.startswith(clients.READ_ONLY)]


def test_the_status_table_is_jujus_to_the_letter():
    status = json.loads((RECORDED / "lifecycle/status1.json").read_text())
    assert status_table(status).splitlines() == (RECORDED / "lifecycle/status1.txt").read_text().splitlines()


def test_an_empty_model_says_so():
    model = {"name": "m", "controller": "c", "cloud": "x", "region": "y", "version": "4"}
    shown = status_table({"model": model, "machines": {}, "applications": {}})
    assert shown.endswith('Model "m" is empty.')


def test_tables_align_and_carry_no_trailing_spaces():
    assert table([("Name", "Count", "Why"), ("a", 1, ""), ("long", 20, "so")], right=(1,)).splitlines() == [
        "Name  Count  Why",
        "a         1",
        "long     20  so",
    ]


@pytest.mark.parametrize(
    ("text", "expected"), [("90", 90), ("90s", 90), ("1m30s", 90), ("2h", 7200), ("500ms", 0.5), ("1.5m", 90)]
)
def test_durations_are_read_as_go_writes_them(text, expected):
    assert verbs.seconds(text) == expected


@pytest.mark.parametrize("text", ["", "soon", "5x", "m", "1m2"])
def test_other_durations_are_refused(text):
    with pytest.raises(argparse.ArgumentTypeError, match="write it as 90s"):
        verbs.seconds(text)


def test_a_value_can_be_a_files_content(tmp_path):
    file = tmp_path / "value"
    file.write_text("a=b")
    assert verbs.pairs([f"key=@{file}", "other=x=y"]) == {"key": "a=b", "other": "x=y"}


@pytest.mark.parametrize("word", ["nothing", "=value", "key=@/no/such/file"])
def test_other_pairs_are_refused(word):
    with pytest.raises(clients.CliError):
        verbs.pairs([word])


def test_a_text_of_several_lines_is_shown_as_juju_shows_it(capsys):
    show({"ca": "a\nb\n", "url": "https://one: two"}, "yaml")
    assert capsys.readouterr().out == "ca: |\n  a\n  b\nurl: 'https://one: two'\n"


@pytest.fixture
def openinfra(controller, monkeypatch, capsys):
    """Run a command line against the controller of straw; return exit code, output and errors."""
    monkeypatch.setattr(
        clients, "Client", lambda model="", _paths=None: type(controller.client)(model, controller.paths)
    )
    monkeypatch.delenv("JUJU_MODEL", raising=False)

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["openinfra", *words])
        code = 0
        try:
            cli.main()
        except SystemExit as ended:
            code = int(ended.code or 0)
        shown = capsys.readouterr()
        return code, shown.out, shown.err

    return run


def test_an_unknown_verb_is_refused(openinfra):
    code, _, errors = openinfra("frobnicate")
    assert code == 2
    assert errors.startswith("ERROR unrecognized command: openinfra frobnicate\n")


def test_an_unknown_option_is_refused(openinfra):
    assert openinfra("status", "--frobnicate")[::2] == (2, "ERROR unrecognized arguments: --frobnicate\n")


def test_the_version_is_one_that_jubilant_reads(openinfra):
    shown = json.loads(openinfra("version", "--format", "json", "--all")[1])
    assert shown["version"].startswith("4.0.")


def test_a_model_is_added_chosen_and_named_in_jujus_long_form(openinfra):
    assert openinfra("add-model", "one")[0] == 0
    assert openinfra("add-model", "two", "--no-switch")[0] == 0
    assert openinfra("switch")[1] == "openinfra:admin/one\n"
    assert (
        json.loads(openinfra("status", "-m", "openinfra:admin/two", "--format", "json")[1])["model"]["name"]
        == "two"
    )
    assert openinfra("switch", "nowhere") == (1, "", 'ERROR model "nowhere" not found\n')


def test_a_charm_is_deployed_configured_and_related_by_command(openinfra, tmp_path):
    archive = charms.build(tmp_path)
    openinfra("add-model", "m")
    assert openinfra("deploy", str(archive), "mine", "--config", "seconds=3", "-n", "2")[0] == 0
    assert openinfra("config", "mine", "seconds")[1] == "3\n"
    assert openinfra("config", "mine", "seconds=4", "reboot=true")[0] == 0
    assert json.loads(openinfra("config", "mine", "--format", "json")[1])["settings"]["seconds"]["value"] == 4
    assert openinfra("config", "mine", "--reset", "seconds")[0] == 0
    assert openinfra("config", "mine", "seconds")[1] == "0\n"
    assert "mine/1" in openinfra("status")[1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("deploy", "./missing.charm"), 'no charm was found at "./missing.charm"'),
        (("deploy", "/tmp"), "cannot deploy directory '/tmp'"),
        (("deploy", "ARCHIVE", "--config", "nothing=1"), 'unknown option "nothing"'),
        (("deploy", "ARCHIVE", "--config", "seconds=many"), 'option "seconds" expected int, got "many"'),
        (("deploy", "ARCHIVE", "--storage", "nothing=1G"), 'has no store called "nothing"'),
        (("deploy", "ARCHIVE", "--to", "77"), "machine 77 not found"),
        (("deploy", "ARCHIVE", "--resource", "blob=/no/such/file"), "cannot read '/no/such/file'"),
        (("config", "nobody"), 'application "nobody" not found'),
        (("run", "nobody/0", "show"), 'unit "nobody/0" not found'),
        (("run", "show"), "no action specified"),
        (("exec", "ls"), "You must specify a target"),
        (("remove-unit", "nobody/0"), "nobody/0"),
        (("integrate", "nobody", "noone"), 'application "nobody" not found'),
        (("show-unit", "nobody/0"), 'unit "nobody/0" not found'),
        (("ssh", "nobody/0"), 'unit or machine "nobody/0" not found'),
        (("scp", "one"), "name one source and one destination"),
        (("add-machine", "lxd:0"), "placements and --disks are not supported"),
        (("add-secret", "empty"), "missing secret value"),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(openinfra, controller, tmp_path, words, message):
    archive = charms.build(tmp_path)
    openinfra("add-model", "m")
    before = controller.client.call("status")

    code, output, errors = openinfra(*(str(archive) if word == "ARCHIVE" else word for word in words))

    assert (code, output) == (1, "")
    assert errors.startswith("ERROR ")
    assert message in errors
    after = controller.client.call("status")
    assert (after["applications"], after["machines"]) == (before["applications"], before["machines"])


def test_a_broken_archive_is_refused_with_its_name(openinfra, tmp_path):
    broken = tmp_path / "broken.charm"
    broken.write_bytes(b"no archive")
    openinfra("add-model", "m")
    code, _, errors = openinfra("deploy", str(broken))
    assert code == 1
    assert str(broken) in errors


def bundle(tmp_path, machines=("0",), **fields):
    """Write a bundle of the tiny charm, one unit on each machine."""
    (tmp_path / "blob").write_text("a blob")
    tiny = {
        "charm": str(charms.build(tmp_path)),
        "base": "ubuntu@24.04",
        "num_units": len(machines),
        "to": list(machines),
        "resources": {"blob": "./blob"},
    }
    document = {
        "applications": {"tiny": tiny},
        "machines": {machine: {"base": "ubuntu@24.04"} for machine in machines},
        **fields,
    }
    path = tmp_path / "bundle.yaml"
    path.write_text(yaml.safe_dump(document))
    return str(path)


def test_a_bundle_is_only_tried(openinfra, controller, tmp_path):
    openinfra("add-model", "m")
    kept = list((controller.paths.state / "files").iterdir())
    code, shown, told = openinfra("deploy", bundle(tmp_path, name="mine"), "--dry-run")
    assert (code, shown) == (0, "")
    first, *changes = told.splitlines()
    assert first.startswith("WARNING ")
    assert 'field "name" not found in bundle, ignored' in first
    assert changes == [
        "Changes to deploy bundle:",
        "- add new machine 0",
        "- deploy application tiny from charm tiny",
    ]
    assert controller.client.call("status")["applications"] == {}
    assert list((controller.paths.state / "files").iterdir()) == kept


def test_a_charm_is_only_tried(openinfra, controller, tmp_path):
    openinfra("add-model", "m")
    archive = str(charms.build(tmp_path))
    told = openinfra("deploy", archive, "mine", "--dry-run", "--channel", "latest/edge")[2]
    assert told == (
        f'WARNING --channel is for charms from Charmhub: ignored\nWould deploy "mine" from {archive}\n'
    )
    assert controller.client.call("status")["applications"] == {}
    assert openinfra("deploy", archive, "--dry-run", "--config", "nothing=1")[0] == 1


def test_a_bundles_machines_are_those_of_the_model_that_are_named(openinfra, controller, tmp_path):
    openinfra("add-model", "m")
    for _ in range(3):
        openinfra("add-machine", "--base", "ubuntu@24.04")
    path = bundle(tmp_path, machines=("0", "1", "7"))
    told = openinfra("deploy", path, "--map-machines", "existing,0=2")[2]
    assert "- add new machine 3\n" in told
    units = controller.client.call("status")["applications"]["tiny"]["units"]
    assert [unit["machine"] for unit in units.values()] == ["2", "1", "3"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("all", 'expected "existing" or "<bundle-id>=<machine-id>", got "all"'),
        ("0=lxd", 'machine-id "lxd" is not a top level machine id'),
        ("a=0", 'bundle-id "a" is not a top level machine id'),
        ("0=9", "machine 9 not found"),
        ("5=0", "machine 5 is not one of the bundle's machines"),
    ],
)
def test_machines_that_cannot_be_mapped_are_refused(openinfra, controller, tmp_path, text, problem):
    openinfra("add-model", "m")
    code, _, errors = openinfra("deploy", bundle(tmp_path), "--map-machines", text)
    assert (code, errors) == (1, f"ERROR {problem}\n")
    assert controller.client.call("status")["machines"] == {}


def test_parameters_are_read_as_juju_reads_them(openinfra, controller, tmp_path, monkeypatch):
    asked = {}
    monkeypatch.setattr(
        type(controller.client),
        "call",
        lambda _, verb, **arguments: asked.update(arguments, verb=verb) or "1",
    )
    file = tmp_path / "parameters.yaml"
    file.write_text("day: 2026-11-22\n")
    words = ("at=10:30", "note=", "a.b=y", "count=5")
    assert openinfra("run", "app/0", "act", *words, "--params", str(file), "--background")[0] == 0
    assert asked["parameters"] == {
        "day": "2026-11-22",
        "at": "10:30",
        "note": "",
        "a": {"b": True},
        "count": 5,
    }


def test_options_of_a_file_are_read_as_juju_reads_them(openinfra, controller, tmp_path):
    archive = charms.build(tmp_path)
    openinfra("add-model", "m")
    openinfra("deploy", str(archive), "mine")
    file = tmp_path / "options.yaml"
    file.write_text("mine: {seconds: 10:30}\n")
    assert (
        openinfra("config", "mine", "--file", str(file))[2]
        == 'ERROR option "seconds" expected int, got "10:30"\n'
    )


def test_the_status_is_that_of_some_applications(openinfra, controller, tmp_path):
    archive = str(charms.build(tmp_path))
    openinfra("add-model", "m")
    openinfra("deploy", archive, "one")
    openinfra("deploy", archive, "two")
    shown = json.loads(openinfra("status", "two", "--format", "json")[1])
    assert (list(shown["applications"]), list(shown["machines"]), shown["storage"]) == (
        ["two"],
        ["0", "1"],
        {},
    )
    assert openinfra("status", "three") == (1, "", 'ERROR application "three" not found\n')


def test_models_are_listed_as_juju_lists_them(openinfra):
    openinfra("add-model", "one")
    openinfra("add-model", "two")
    shown = json.loads(openinfra("models", "--format", "json")[1])
    assert [(model["name"], model["short-name"]) for model in shown["models"]] == [
        ("admin/one", "one"),
        ("admin/two", "two"),
    ]
    assert shown["current-model"] == "two"
    assert "two*   localhost/localhost" in openinfra("models")[1]


def test_destroying_asks_first_and_without_a_terminal_the_answer_is_no(openinfra, monkeypatch, controller):
    openinfra("add-model", "m")
    monkeypatch.setattr("sys.stdin", io.StringIO())
    code, _, errors = openinfra("destroy-model", "m")
    assert code == 1
    assert "aborted" in errors
    assert controller.client.call("models")["models"]


def test_secrets_come_and_go_by_command(openinfra):
    openinfra("add-model", "m")
    uri = openinfra("add-secret", "login", "password=hunter2")[1].strip()
    assert uri.startswith("secret:")
    shown = json.loads(openinfra("show-secret", "login", "--reveal", "--format", "json")[1])
    assert "hunter2" in json.dumps(shown)
    assert "hunter2" not in openinfra("show-secret", "login")[1]
    assert openinfra("remove-secret", "login")[0] == 0
    assert json.loads(openinfra("secrets", "--format", "json")[1]) == {}


def test_the_log_is_shown_by_unit_and_severity_with_messages_of_several_lines(openinfra, controller):
    openinfra("add-model", "m")
    first = "unit-tiny-0: 2026-11-22 20:00:00 ERROR unit.tiny/0.install Traceback:\n\nRuntimeError: (no level) here\n"
    second = "unit-tiny-1: 2026-11-22 20:00:01 INFO unit.tiny/1.juju-log hello\n"
    Path(controller.client.call("log_file")).write_text(first + second)
    assert openinfra("debug-log", "--no-tail")[1] == first + second
    assert openinfra("debug-log", "--no-tail", "--level", "ERROR")[1] == first
    assert openinfra("debug-log", "--no-tail", "--include", "tiny/1")[1] == second
    assert openinfra("debug-log", "--no-tail", "--exclude", "tiny/1")[1] == first
    assert openinfra("debug-log", "--no-tail", "-i", "tiny/0,tiny/1", "-x", "unit-tiny-0")[1] == second


@pytest.fixture
def ran(monkeypatch):
    """The commands that were run; those of the suite `unit` fail."""
    commands = []

    def run(command, **_):
        commands.append(command[3:])
        return subprocess.CompletedProcess(command, "unit" in command)

    monkeypatch.setattr(subprocess, "run", run)
    return commands


def test_a_suite_that_fails_is_told_in_its_place_and_the_others_run(openinfra, ran):
    code, _, told = openinfra("test")
    assert code == 1
    suites = ("lint", "unit", "contract", "rehearsal", "integration")
    results = [line.split()[:2] for line in told.strip().splitlines()[1:]]
    assert results == [[suite, "failed" if suite == "unit" else "passed"] for suite in suites]
    assert ran == [[suite] for suite in suites]


def test_faults_are_those_of_the_charms_that_are_named(openinfra, ran):
    assert openinfra("test", "--faults", "ceph-rgw", "mysql")[0] == 0
    assert [path.rpartition("/")[2] for path in ran[0][2:]] == ["test_ceph_rgw.py", "test_mysql.py"]
    assert ran[0][:2] == ["faults", "--"]


def test_all_faults_begin_with_the_engines(openinfra, ran):
    assert openinfra("test", "--faults")[0] == 0
    assert [command[0] for command in ran] == ["engine", "faults"]


def test_faults_that_nobody_knows_are_refused_with_those_there_are(openinfra, ran):
    code, _, told = openinfra("test", "--faults", "glance")
    assert code == 1
    assert "there are no fault tests for 'glance': choose from engine, ceph," in told
    assert ran == []
