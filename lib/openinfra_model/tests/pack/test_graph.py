"""The picture of a bundle shows what is in it, and is the same each time."""

import argparse
import xml.etree.ElementTree as ET

import pytest

from openinfra_model.bundle import load
from openinfra_model.cli import developer
from openinfra_model.cli.client import Client, CliError
from openinfra_model.devtools.graph import draw

RIDER = """\
name: rider
summary: A subordinate
description: It rides along.
subordinate: true
requires: {host: {interface: juju-info, scope: container}}
"""
BUNDLE = """\
description: A <model>
applications:
  front: {charm: ./probe.charm, base: ubuntu@24.04, num_units: 2, to: [0, new], annotations: {layer: web}}
  back: {charm: ./probe.charm, base: ubuntu@24.04, num_units: 1, to: ["lxd:front/0"], annotations: {layer: data}}
  rider: {charm: ./rider.charm, base: ubuntu@24.04}
machines: {"0": {base: ubuntu@24.04}}
relations: [[front:client, back:server], [back:client, front:server], [rider, front]]
"""
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def path(make_charm, tmp_path):
    make_charm("probe.charm", metadata="name: probe\nsummary: s\ndescription: d\n" + ENDPOINTS)
    make_charm("rider.charm", metadata=RIDER)
    path = tmp_path / "bundle.yaml"
    path.write_text(BUNDLE)
    return path


ENDPOINTS = "provides: {server: {interface: probe}}\nrequires: {client: {interface: probe}}\n"


def texts(svg):
    return [element.text for element in ET.fromstring(svg).iter(f"{SVG}text")]


def number(element, name):
    return float(element.get(name, "0"))


def test_shows_layers_applications_relations_and_machines(path):
    shown = texts(draw(load(path)))

    assert shown[:4] == ["Web", "Data", "Machines", "machine 0"]
    assert {"front", "2 units", "back", "1 unit", "rider", "beside each related unit"} <= set(shown)
    assert shown.count("probe") == 2
    assert shown.count("juju-info") == 1
    machines = shown.index("machine 0")
    assert shown[machines : machines + 3] == ["machine 0", "front/0", "rider"]
    assert {"new machine 1", "container on machine 0"} <= set(shown)


def test_everything_is_inside_the_picture(path):
    root = ET.fromstring(draw(load(path)))

    for box in root.iter(f"{SVG}rect"):
        assert 0 <= number(box, "x") <= number(box, "x") + number(box, "width") <= number(root, "width")
        assert 0 <= number(box, "y") <= number(box, "y") + number(box, "height") <= number(root, "height")


def test_each_layer_has_a_row_of_its_own(path):
    root = ET.fromstring(draw(load(path)))
    rows = sorted(number(box, "y") for box in root.iter(f"{SVG}rect") if box.get("stroke-width") == "1.5")

    assert len(rows) == 3
    assert rows[1] - rows[0] > 58 < rows[2] - rows[1]


def test_is_the_same_each_time(path):
    assert draw(load(path)) == draw(load(path))


def test_the_command_writes_a_file_or_to_the_screen(path, tmp_path, capsys):
    output = tmp_path / "model.svg"

    run(bundle=path, overlay=[], output=None)
    shown = capsys.readouterr().out
    run(bundle=path, overlay=[], output=output)

    assert capsys.readouterr().out == f"{output}: drawn\n"
    assert output.read_text() == shown
    with pytest.raises(CliError, match="absent"):
        run(bundle=tmp_path / "absent.yaml", overlay=[], output=None)


def run(**arguments):
    developer.graph(Client(), argparse.Namespace(**arguments))
