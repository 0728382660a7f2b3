"""Configuration files from templates."""

import dataclasses
import sys
from dataclasses import replace

import jinja2
import pytest

from openinfra_charm.daemon import render
from openinfra_charm.daemon.render import File, Templates

PATH = "/etc/probe/x.conf"
OLD_COPIES = "/var/lib/openinfra/probe/templates"


class Backwards(frozenset):
    """A set as another process may iterate it."""

    def __iter__(self):
        return iter(sorted(super().__iter__(), reverse=True))

    def __repr__(self):
        return f"frozenset({list(self)})"


@dataclasses.dataclass(frozen=True)
class Settings:
    """What a charm has read of its options."""

    pairs: dict[str, frozenset[str]]


@pytest.fixture
def fill(machine, tmp_path):
    """Return a function that fills a template for the next hook's processes, as each has its own."""

    def fill(**values):
        return Templates(machine, "probe", tmp_path).fill("x.conf.j2", PATH, **values)

    return fill


@pytest.fixture
def no_jinja(monkeypatch):
    """Have nothing be made anew: who imports Jinja2 fails."""
    monkeypatch.setitem(sys.modules, "jinja2", None)


def test_a_template_is_filled_in_as_it_stands(fill, tmp_path):
    (tmp_path / "x.conf.j2").write_text("[a]\n{% if on %}\n  key = {{ value }}\n{% endif %}\nend\n")
    assert fill(on=True, value="<&>") == File(path=PATH, content="[a]\n  key = <&>\nend\n")
    assert fill(on=False).content == "[a]\nend\n"


def test_a_forgotten_value_is_an_error(fill, tmp_path):
    (tmp_path / "x.conf.j2").write_text("{{ value }}\n")
    with pytest.raises(jinja2.UndefinedError, match="value"):
        fill()


def test_a_value_may_have_any_name(fill, tmp_path):
    (tmp_path / "x.conf.j2").write_text("{{ name }} {{ path }} {{ user }}\n")
    assert fill(name="a", path="b", user="c").content == "a b c\n"


def test_what_has_not_changed_is_read_from_the_file_that_it_was_written_to(
    machine, fill, tmp_path, monkeypatch
):
    (tmp_path / "x.conf.j2").write_text("{% include 'part.j2' %} {{ value }}\n")
    (tmp_path / "part.j2").write_text("one")
    first = fill(value=1)
    assert render.write(machine, first) == {PATH}
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "jinja2", None)
        assert fill(value=1) == first
    assert fill(value=2).content == "one 2\n"
    (tmp_path / "part.j2").write_text("two")
    assert fill(value=1).content == "two 1\n"


def test_a_second_hook_writes_nothing(machine, fill, tmp_path, no_jinja):
    (tmp_path / "x.conf.j2").write_text("{{ value }}\n")
    with pytest.MonkeyPatch.context() as back:
        back.setitem(sys.modules, "jinja2", jinja2)
        render.write(machine, fill(value=1))
    machine.log.clear()
    assert render.write(machine, fill(value=1)) == frozenset()
    assert machine.log == []


def test_what_a_set_is_iterated_in_is_no_change(machine, fill, tmp_path):
    (tmp_path / "x.conf.j2").write_text("{{ settings.pairs.a | sort | join }}\n")
    render.write(machine, fill(settings=Settings({"a": frozenset({"x", "y", "z"})})))
    machine.log.clear()
    same = fill(settings=Settings({"a": Backwards({"x", "y", "z"})}))
    assert render.write(machine, same) == frozenset()
    assert machine.log == []
    assert fill(settings=Settings({"a": frozenset({"x", "y"})})).content == "xy\n"


@pytest.mark.parametrize("change", ["edited", "removed"])
def test_a_file_that_somebody_has_changed_is_made_anew(machine, fill, tmp_path, change):
    (tmp_path / "x.conf.j2").write_text("{{ value }}\n")
    render.write(machine, fill(value=1))
    if change == "edited":
        machine.write(PATH, "2\n")
    else:
        machine.remove(PATH)
    assert render.write(machine, fill(value=1)) == {PATH}
    assert machine.read(PATH) == "1\n"


def test_what_was_not_written_is_made_anew(machine, fill, tmp_path):
    (tmp_path / "x.conf.j2").write_text("{{ value }}\n")
    render.write(machine, fill(value=1))
    machine.log.clear()
    assert fill(value=2).content == "2\n"
    assert (fill(value=1).content, machine.log) == ("1\n", [])


def test_what_a_charm_makes_of_it_is_what_counts(machine, fill, tmp_path, monkeypatch):
    (tmp_path / "x.conf.j2").write_text("{{ value }} @VERSION@\n")

    def finish(file):
        return replace(file, content=file.content.replace("@VERSION@", "7"), mode=0o640, group="probe")

    render.write(machine, finish(fill(value=1)))
    monkeypatch.setitem(sys.modules, "jinja2", None)
    assert finish(fill(value=1)).content == "1 7\n"
    assert render.write(machine, finish(fill(value=1))) == frozenset()


def test_no_second_copy_is_kept(machine, fill, tmp_path):
    (tmp_path / "x.conf.j2").write_text("key = {{ key }}\n")
    render.write(machine, replace(fill(key="a secret"), mode=0o600))
    assert [path for path, node in machine.nodes.items() if "a secret" in (node.content or "")] == [PATH]


def test_the_copies_of_an_earlier_version_go(machine, fill, tmp_path):
    machine.have(f"{OLD_COPIES}/x.conf.j2", "digest\nkey = a secret\n", mode=0o600)
    (tmp_path / "x.conf.j2").write_text("key = {{ key }}\n")
    render.write(machine, fill(key="a secret"))
    assert not machine.exists(OLD_COPIES)


def test_a_hook_that_dies_before_its_record_is_written_is_finished_by_the_next(machine, fill, tmp_path):
    (tmp_path / "x.conf.j2").write_text("{{ value }}\n")
    render.write(machine, fill(value=1))
    machine.write(PATH, "2\n")  # and no record of it
    machine.log.clear()
    assert render.write(machine, fill(value=2)) == frozenset()
    assert [line for line in machine.log if line == f"write {PATH}"] == []
    assert fill(value=2).content == "2\n"


def test_only_what_changed_is_told(machine):
    first, second = (
        File(path="/etc/a", content="1"),
        File(path="/etc/b", content="2", mode=0o600, user="ceph"),
    )
    assert render.write(machine, first, second) == {"/etc/a", "/etc/b"}
    assert render.write(machine, first, File(path="/etc/b", content="3", mode=0o600, user="ceph")) == {
        "/etc/b"
    }
    assert (machine.nodes["/etc/b"].mode, machine.nodes["/etc/b"].owner) == (0o600, ("ceph", "root"))
