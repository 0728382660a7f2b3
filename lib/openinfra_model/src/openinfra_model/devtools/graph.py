"""Draw a bundle as a picture: applications by layer, relations between them, machines below.

An application's annotation `layer` names its row; rows come in the order in which the bundle names them. The same
bundle gives the same SVG.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from openinfra_model.bundle import Application, Bundle
    from openinfra_model.pairing import End

# All measures are in pixels.
_MARGIN = 24
_ROW = 104
_BOX_HEIGHT = 58
_BOX_GAP = 48
_MACHINE_HEAD = 30
_MACHINE_LINE = 18
_TAG_HEIGHT = 20
_CHARACTER = 7.4  # a little more than an average letter of the 13 px font is wide
_FONT = "Ubuntu, 'Noto Sans', 'DejaVu Sans', Helvetica, Arial, sans-serif"
_INK, _MUTED, _PAPER, _LINE = "#1d2733", "#5b6876", "#ffffff", "#8794a3"
# Fill of a row, fill and edge of its boxes.
_COLOURS = (
    ("#fdf3ee", "#fbdfd1", "#d9673a"),
    ("#eef5fc", "#d3e6f8", "#2f78b7"),
    ("#effaf2", "#d2efd9", "#33894f"),
    ("#f6f1fb", "#e5d9f4", "#7a4fb0"),
    ("#fdf8e6", "#f7e8b3", "#a97f0b"),
    ("#eef8f8", "#cdebea", "#21827f"),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Box:
    x: float
    y: float
    width: float
    height: float = _BOX_HEIGHT

    @property
    def middle(self) -> float:
        return self.x + self.width / 2


def draw(bundle: Bundle) -> str:
    """Return the SVG of a bundle."""
    return _Drawing(bundle).svg()


def _element(name: str, content: str = "", **attributes: str | float) -> str:
    """Return an SVG element; an underscore in an attribute's name stands for a hyphen."""
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_number(value)}"' for key, value in attributes.items()
    )
    return f"<{name}{written}>{content}</{name}>" if content else f"<{name}{written}/>"


def _number(value: str | float) -> str:
    return escape(value) if isinstance(value, str) else f"{value:.1f}".removesuffix(".0")


def _text(x: float, y: float, text: str, size: int = 13, fill: str = _INK, **attributes: str | float) -> str:
    return _element("text", escape(text), x=x, y=y, font_size=size, fill=fill, **attributes)


class _Drawing:
    """Lays a bundle out and writes its picture."""

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle
        self._rows = _rows(bundle)
        self._machines = _residents(bundle)
        self._left = 3 * _MARGIN + 1.1 * _CHARACTER * max(len(layer) for layer in (*self._rows, "machines"))
        rows = [[_application_width(entry) for entry in row] for row in self._rows.values()]
        rows.append([_machine_width(units) for units in self._machines.values()])
        self._width = self._left + max(_row_width(row) for row in rows) + 2 * _MARGIN
        self._boxes = {
            name: box for index, row in enumerate(self._rows.values()) for name, box in self._row(index, row)
        }

    def _row(self, index: int, row: Sequence[Application]) -> Iterator[tuple[str, _Box]]:
        y = _MARGIN + index * (_ROW + _MARGIN) + (_ROW - _BOX_HEIGHT) / 2
        widths = [_application_width(entry) for entry in row]
        for entry, (x, width) in zip(row, self._spread(widths), strict=True):
            yield entry.name, _Box(x=x, y=y, width=width)

    def _spread(self, widths: Sequence[float]) -> Iterator[tuple[float, float]]:
        """Yield the left edge and the width of boxes side by side, in the middle of the picture."""
        right = self._width - 2 * _MARGIN
        x = (self._left + right - _row_width(widths)) / 2
        for width in widths:
            yield x, width
            x += width + _BOX_GAP

    def svg(self) -> str:
        top = _MARGIN + len(self._rows) * (_ROW + _MARGIN)
        lines = max((len(units) for units in self._machines.values()), default=0)
        box_height = _MACHINE_HEAD + lines * _MACHINE_LINE + 8
        height = top + box_height + 3 * _MARGIN
        parts = [
            _element("rect", width=self._width, height=height, rx=12, fill=_PAPER),
            *self._bands(),
            *self._machine_row(top, box_height),
            *self._relations(),
            *(part for name, box in self._boxes.items() for part in self._application(name, box)),
        ]
        content = "\n".join(
            ["", _element("title", escape(self._bundle.description or "A Juju model")), *parts, ""]
        )
        return (
            _element(
                "svg",
                content,
                xmlns="http://www.w3.org/2000/svg",
                width=self._width,
                height=height,
                viewBox=f"0 0 {_number(self._width)} {_number(height)}",
                font_family=_FONT,
            )
            + "\n"
        )

    def _band(self, y: float, height: float, fill: str, label: str) -> Iterator[str]:
        width = self._width - 2 * _MARGIN
        yield _element("rect", x=_MARGIN, y=y, width=width, height=height, rx=8, fill=fill)
        if label:
            shown = label[0].upper() + label[1:]
            yield _text(_MARGIN + 16, y + height / 2 + 5, shown, fill=_MUTED, font_weight="bold")

    def _bands(self) -> Iterator[str]:
        for index, layer in enumerate(self._rows):
            y = _MARGIN + index * (_ROW + _MARGIN)
            yield from self._band(y, _ROW, _COLOURS[index % len(_COLOURS)][0], layer)

    def _application(self, name: str, box: _Box) -> Iterator[str]:
        application = self._bundle.applications[name]
        layer = list(self._rows).index(application.annotations.get("layer", ""))
        _, fill, edge = _COLOURS[layer % len(_COLOURS)]
        yield _element(
            "rect",
            x=box.x,
            y=box.y,
            width=box.width,
            height=box.height,
            rx=8,
            fill=fill,
            stroke=edge,
            stroke_width=1.5,
            stroke_dasharray="6 4" if application.charm.subordinate else "none",
        )
        yield _text(box.middle, box.y + 25, name, 16, text_anchor="middle", font_weight="bold")
        yield _text(box.middle, box.y + 44, _caption(application), 12, _MUTED, text_anchor="middle")

    def _machine_row(self, top: float, height: float) -> Iterator[str]:
        yield from self._band(top, height + 2 * _MARGIN, "#f3f5f7", "machines")
        widths = [_machine_width(units) for units in self._machines.values()]
        for (machine, units), (x, width) in zip(self._machines.items(), self._spread(widths), strict=True):
            y = top + _MARGIN
            yield _element("rect", x=x, y=y, width=width, height=height, rx=6, fill=_PAPER, stroke=_LINE)
            yield _text(x + width / 2, y + 20, machine, text_anchor="middle", font_weight="bold")
            for line, unit in enumerate(units):
                y_line = y + _MACHINE_HEAD + _MACHINE_LINE * (line + 0.65)
                yield _text(x + width / 2, y_line, unit, 12, _MUTED, text_anchor="middle")

    def _relations(self) -> Iterator[str]:
        drawn = [
            pair for pair in self._bundle.relations if {end.application for end in pair} <= self._boxes.keys()
        ]
        for index, (requirer, provider) in enumerate(drawn):
            spread = (index - (len(drawn) - 1) / 2) * 10
            yield from self._relation(requirer, provider, spread if len(drawn) > 1 else 0)

    def _relation(self, requirer: End, provider: End, shift: float) -> Iterator[str]:
        upper, lower = sorted(
            (self._boxes[requirer.application], self._boxes[provider.application]), key=_by_height
        )
        endpoint = self._bundle.applications[requirer.application].charm.endpoints[requirer.endpoint]
        dashes = "5 4" if endpoint.scope == "container" else "none"
        start_x, end_x = upper.middle + shift, lower.middle + shift
        if upper.y == lower.y:
            start_y = end_y = upper.y
            bend = start_y - (_ROW - _BOX_HEIGHT) / 2 - 14
            label_y = (start_y + 3 * bend) / 4
        else:
            start_y, end_y = upper.y + upper.height, lower.y
            bend = (start_y + end_y) / 2
            label_y = bend
        path = " ".join(
            (
                "M",
                *map(_number, (start_x, start_y)),
                "C",
                *map(_number, (start_x, bend, end_x, bend, end_x, end_y)),
            )
        )
        yield _element("path", d=path, fill="none", stroke=_LINE, stroke_width=1.6, stroke_dasharray=dashes)
        for x, y in ((start_x, start_y), (end_x, end_y)):
            yield _element("circle", cx=x, cy=y, r=3, fill=_LINE)
        yield from self._tag((start_x + end_x) / 2, label_y, endpoint.interface)

    @staticmethod
    def _tag(x: float, y: float, text: str) -> Iterator[str]:
        width = 0.92 * _CHARACTER * len(text) + 16
        yield _element(
            "rect",
            x=x - width / 2,
            y=y - _TAG_HEIGHT / 2,
            width=width,
            height=_TAG_HEIGHT,
            rx=_TAG_HEIGHT / 2,
            fill=_PAPER,
            stroke=_LINE,
        )
        yield _text(x, y + 4, text, 12, _MUTED, text_anchor="middle")


def _by_height(box: _Box) -> tuple[float, float]:
    return box.y, box.x


def _rows(bundle: Bundle) -> dict[str, list[Application]]:
    rows: dict[str, list[Application]] = {}
    for application in bundle.applications.values():
        rows.setdefault(application.annotations.get("layer", ""), []).append(application)
    return rows


def _caption(application: Application) -> str:
    if application.charm.subordinate:
        return "beside each related unit"
    return "1 unit" if application.units == 1 else f"{application.units} units"


def _application_width(application: Application) -> float:
    return max(168, _CHARACTER * max(len(application.name) * 1.25, len(_caption(application)) * 0.92) + 32)


def _machine_width(units: Sequence[str]) -> float:
    return max(120, _CHARACTER * max(len(unit) for unit in units) + 32)


def _row_width(widths: Sequence[float]) -> float:
    return sum(widths) + _BOX_GAP * (len(widths) - 1)


def _residents(bundle: Bundle) -> dict[str, list[str]]:
    """Return what each machine runs: its units, each followed by the subordinates beside it."""
    homes: dict[str, str] = {}
    fresh = (f"new machine {number}" for number in count(1))
    machines: dict[str, list[str]] = {f"machine {name}": [] for name in bundle.machines}
    riders = _riders(bundle)
    for application in bundle.applications.values():
        for number, placement in enumerate(application.to):
            target = placement.removeprefix("lxd:")
            home = homes.get(target) or (next(fresh) if target == "new" else f"machine {target}")
            if placement != target:
                home = f"container on {home}"
            unit = f"{application.name}/{number}"
            homes[unit] = home
            machines.setdefault(home, []).extend([unit, *riders.get(application.name, [])])
    return {machine: units for machine, units in machines.items() if units}


def _riders(bundle: Bundle) -> dict[str, list[str]]:
    """Return the subordinates of each application."""
    riders: dict[str, list[str]] = {}
    for requirer, provider in bundle.relations:
        charm = bundle.applications[requirer.application].charm
        if charm.subordinate and charm.endpoints[requirer.endpoint].scope == "container":
            riders.setdefault(provider.application, []).append(requirer.application)
    return riders
