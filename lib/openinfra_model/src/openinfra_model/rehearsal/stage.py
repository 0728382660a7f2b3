"""The stage: a bundle's charms loaded once, from which worlds are made at will."""

from __future__ import annotations

from typing import TYPE_CHECKING

import yaml

from openinfra_model.rehearsal.code import CharmCode

if TYPE_CHECKING:
    from pathlib import Path

    from openinfra_charm.testing import Twin
    from openinfra_model.bundle import Bundle


class Stage:
    """A bundle with its charms' code, from which any number of worlds is made."""

    def __init__(self, bundle: Bundle, folder: Path, *sources: Path) -> None:
        """Load the charms of a bundle.

        Args:
            bundle: What to play; its archives are read.
            folder: Where archives are unpacked.
            sources: Where charms' sources are, and with them their twins; later ones come first. The source in whose
                folder an archive lies, as charmcraft leaves it, comes before all of them.
        """
        self.bundle = bundle
        self.codes: dict[str, CharmCode] = {}
        twins = {name: twin for source in sources for name, twin in find_twins(source).items()}
        for application in bundle.applications.values():
            name = application.charm.name
            if name not in self.codes:
                twin = find_twins(application.archive.parent).get(name) or twins.get(name)
                self.codes[name] = CharmCode(application.archive, folder / name, twin)

    def without_twin(self) -> tuple[str, ...]:
        """Return the names of the charms whose software nothing plays."""
        return tuple(sorted(name for name, code in self.codes.items() if not code.has_twin))

    def twin(self, charm: str) -> Twin | None:
        """Make a twin of what a charm manages; None where it has none."""
        code = self.codes[charm]
        return code.module("rehearsal").Twin() if code.has_twin else None


def find_twins(folder: Path) -> dict[str, Path]:
    """Return the folders of twins by the charm's name: that of a charm's source, or those of all charms in a folder."""
    files = (*folder.glob("tests/twins/rehearsal.py"), *folder.glob("*/tests/twins/rehearsal.py"))
    found = (file.parent for file in files if (file.parents[2] / "charmcraft.yaml").is_file())
    return {_charm_name(twin.parents[1]): twin for twin in found}


def _charm_name(source: Path) -> str:
    return yaml.safe_load((source / "charmcraft.yaml").read_text(encoding="utf-8"))["name"]
