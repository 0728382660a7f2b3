"""Configuration files from templates."""

import sys

import jinja2
import pytest

from openinfra_charm.daemon import render
from openinfra_charm.daemon.render import File, Templates


@pytest.fixture
def fill(machine, tmp_path):
    return Templates(machine, "probe", tmp_path).fill


def test_a_template_is_filled_in_as_it_stands(fill, tmp_path):
    (tmp_path / "x.conf.j2").write_text("[a]\n{% if on %}\n  key = {{ value }}\n{% endif %}\nend\n")
    assert fill("x.conf.j2", on=True, value="<&>") == "[a]\n  key = <&>\nend\n"
    assert fill("x.conf.j2", on=False) == "[a]\nend\n"


def test_a_forgotten_value_is_an_error(fill, tmp_path):
    (tmp_path / "x.conf.j2").write_text("{{ value }}\n")
    with pytest.raises(jinja2.UndefinedError, match="value"):
        fill("x.conf.j2")


def test_what_has_not_changed_is_not_filled_in_again(fill, tmp_path, monkeypatch):
    (tmp_path / "x.conf.j2").write_text("{% include 'part.j2' %} {{ value }}\n")
    (tmp_path / "part.j2").write_text("one")
    first = fill("x.conf.j2", value=1)
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "jinja2", None)
        assert fill("x.conf.j2", value=1) == first
    assert fill("x.conf.j2", value=2) == "one 2\n"
    (tmp_path / "part.j2").write_text("two")
    assert fill("x.conf.j2", value=2) == "two 2\n"


def test_what_was_filled_in_is_roots_alone(fill, machine, tmp_path):
    (tmp_path / "x.conf.j2").write_text("key = {{ key }}\n")
    fill("x.conf.j2", key="secret")
    assert machine.nodes["/var/lib/openinfra/probe/templates/x.conf.j2"].mode == 0o600


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
