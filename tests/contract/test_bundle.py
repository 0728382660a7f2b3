"""The bundle is valid with every overlay and fits the charms."""

from __future__ import annotations

from pathlib import Path

import pytest

from openinfra_model.bundle import load
from openinfra_model.devtools.graph import draw
from openinfra_model.devtools.pack import charm_names

ROOT = Path(__file__).parents[2]
OVERLAYS = sorted(path.name for path in ROOT.glob("bundles/overlays/*.yaml"))

RIGHTS = {
    ("ceph", "shared-pools"),
    ("glance", "web-download-hosts"),
    ("keystone", "extra-roles"),
    ("rabbitmq", "shared-vhosts"),
}
"""Options by which an operator gives applications rights; no charm gives them by itself."""


def test_there_are_overlays():
    assert {"ha.yaml", "metal.yaml", "small.yaml", "trial.yaml"} <= set(OVERLAYS)


@pytest.mark.parametrize("overlay", [None, *OVERLAYS])
def test_is_valid(site, overlay):
    overlays = [site / "bundles/overlays" / overlay] if overlay else []

    bundle = load(site / "bundles/openinfra.yaml", overlays)

    assert not bundle.warnings
    assert bundle.applications.keys() <= set(charm_names(ROOT))
    for name, application in bundle.applications.items():
        assert application.charm.name == f"openinfra-{name}"


def test_has_every_charm_in_it(site):
    assert load(site / "bundles/openinfra.yaml").applications.keys() == set(charm_names(ROOT))


def test_is_valid_with_all_that_a_production_site_lays_over_it(site):
    overlays = [site / "bundles/overlays" / name for name in ("ha.yaml", "metal.yaml")]

    bundle = load(site / "bundles/openinfra.yaml", overlays)

    assert {one.units for one in bundle.applications.values() if not one.charm.subordinate} == {3}


def test_on_metal_every_plane_has_its_network(site):
    """What a charm does not name is bound to the internal network, and nothing to a default that is nobody's."""
    bundle = load(site / "bundles/openinfra.yaml", [site / "bundles/overlays/metal.yaml"])
    for name, application in bundle.applications.items():
        if application.charm.subordinate:
            continue
        named = {*application.charm.extra_bindings, ""}
        assert named <= application.bindings.keys(), f"{name}: {named - application.bindings.keys()}"
    assert (
        bundle.applications["gateway"].bindings["public"]
        != bundle.applications["gateway"].bindings["internal"]
    )


def test_asks_for_block_storage_on_metal_only(site):
    for overlay in OVERLAYS:
        bundle = load(site / "bundles/openinfra.yaml", [site / "bundles/overlays" / overlay])
        for application in bundle.applications.values():
            block = {name for name in application.storage if application.charm.storage[name].type == "block"}
            assert not block or overlay == "metal.yaml", overlay


def test_sets_what_the_charms_default_to(site):
    """The bundle's options document the defaults; a difference would be a second truth."""
    for application in load(site / "bundles/openinfra.yaml").applications.values():
        for name, value in application.options.items():
            if (application.name, name) not in RIGHTS:
                assert value == application.charm.config[name].default, f"{application.name}: {name}"


def test_required_endpoints_are_related(site):
    bundle = load(site / "bundles/openinfra.yaml")
    related = {(end.application, end.endpoint) for pair in bundle.relations for end in pair}

    for name, application in bundle.applications.items():
        for endpoint in application.charm.endpoints.values():
            if endpoint.role == "requires" and not endpoint.optional:
                assert (name, endpoint.name) in related, f"{name}:{endpoint.name}"


def test_one_machine_is_enough_for_the_small_one(site):
    bundle = load(site / "bundles/openinfra.yaml", [site / "bundles/overlays/small.yaml"])

    assert list(bundle.machines) == ["0"]


def test_the_picture_is_current(site):
    drawn = draw(load(site / "bundles/openinfra.yaml"))

    assert (ROOT / "docs/model.svg").read_text() == drawn, (
        "draw it anew: ./openinfra graph --output docs/model.svg"
    )
