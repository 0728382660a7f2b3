"""What the documents point at is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("charms/*/README.md")]


def anchors(document: Path) -> set[str]:
    """Return the anchors of a document's headings, as forges make them."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document):
    for link in re.findall(r"\]\(([^)\s]+)\)", document.read_text()):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (document.parent / path).resolve() if path else document
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_the_rooms_of_the_architecture_are_there():
    rooms = (ROOT / "docs/architecture.md").read_text().partition("## Rooms")[2].partition("## ")[0]
    names = re.findall(r"`(lib/\w+|openinfra_\w+\.\w+|bundles/|tests/)`", rooms)
    assert {name.partition(".")[0] for name in names} >= {"openinfra_charm", "openinfra_model", "tests/"}
    for name in names:
        package = name.replace(".", "/")
        assert (ROOT / name).is_dir() or [*ROOT.glob(f"lib/*/src/{package}/__init__.py")], name
