"""Answers on the terminal: JSON, YAML, and Juju's tables."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

FORMATS = ("tabular", "yaml", "json")


def show(data: Any, form: str, tabular: Callable[[Any], str] | None = None) -> None:
    """Print data in a form of FORMATS; where there is no table, `tabular` is YAML."""
    if form == "json":
        print(json.dumps(data))
    elif form == "tabular" and tabular is not None:
        print(tabular(data))
    else:
        import yaml

        class Dumper(yaml.SafeDumper):
            """Shows a text of several lines as one, as Juju does: it can be read, and copied."""

        Dumper.add_representer(
            str,
            lambda _, text: yaml.ScalarNode(
                "tag:yaml.org,2002:str", text, style="|" if "\n" in text else None
            ),
        )
        yaml.dump(data, sys.stdout, Dumper, sort_keys=False, default_flow_style=False, allow_unicode=True)


def tell(message: str) -> None:
    """Say what is being done, beside the answer."""
    print(message, file=sys.stderr, flush=True)


def table(rows: Iterable[Sequence[Any]], right: Iterable[int] = ()) -> str:
    """Align rows, the first of which is the heading; the columns in `right` to the right."""
    texts = [[str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    to_right = frozenset(right)
    lines = (
        "  ".join(
            cell.rjust(width) if number in to_right else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in texts
    )
    return "\n".join(line.rstrip() for line in lines)
