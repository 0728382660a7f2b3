"""Charms of a few lines that use others as real ones do, for rehearsals and live runs."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]


def lay_out(target: Path, *charms: str) -> Path:
    """Make a folder that packs like this repository, with these charms and all probes; return it."""
    (target / "charms").mkdir(parents=True)
    for name in ("lib", "pyproject.toml", "uv.lock", "security-overrides.txt"):
        (target / name).symlink_to(ROOT / name)
    for name in charms:
        (target / "charms" / name).symlink_to(ROOT / "charms" / name)
    for probe in Path(__file__).parent.glob("*/charmcraft.yaml"):
        (target / "charms" / probe.parent.name).symlink_to(probe.parent)
    return target
