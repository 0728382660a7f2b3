"""Configuration files from templates."""

import jinja2
import pytest

from openinfra_charm import render
from openinfra_charm.render import File


def test_a_template_is_filled_in_as_it_stands(tmp_path):
    (tmp_path / "x.conf.j2").write_text("[a]\n{% if on %}\n  key = {{ value }}\n{% endif %}\nend\n")
    assert render.template(tmp_path, "x.conf.j2", on=True, value="<&>") == "[a]\n  key = <&>\nend\n"
    assert render.template(tmp_path, "x.conf.j2", on=False) == "[a]\nend\n"


def test_a_forgotten_value_is_an_error(tmp_path):
    (tmp_path / "x.conf.j2").write_text("{{ value }}\n")
    with pytest.raises(jinja2.UndefinedError, match="value"):
        render.template(tmp_path, "x.conf.j2")


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
