"""The figures as bars, as SVG by hand: one column of bars per operation, on a logarithmic scale."""

from __future__ import annotations

from html import escape
from math import log10
from pathlib import Path

from bench.harness import Series

_SHOWN = ("load, current", "save", "list, page of 100")
_BAR, _GAP, _LEFT, _WIDTH = 16, 26, 250, 900
_SCALE = 5.2
"""Powers of ten across the width: from 1 to some 160,000 a second."""


def write(path: Path, results: dict[str, list[Series]]) -> None:
    """Draw one caller's figures; rekindle in one colour, the floor in another, the others grey."""
    parts: list[str] = []
    y = 34
    for engine, series in results.items():
        for operation in _SHOWN:
            some = [one for one in series if one.operation == operation and one.callers == 1]
            if not some:
                continue
            parts.append(f'<text x="10" y="{y}" class="title">{escape(engine)}: {escape(operation)}, per second</text>')
            y += 8
            for one in sorted(some, key=lambda one: -one.median):
                parts += _bar(one, y)
                y += _BAR + 3
            y += _GAP
    style = (
        "text{font:12px sans-serif;fill:#333}.title{font-weight:bold}.ours{fill:#2563a8}.floor{fill:#b8b8b8}"
        ".peer{fill:#d9a441}.line{stroke:#fff;stroke-width:.6}"
    )
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {y}" width="{_WIDTH}" height="{y}" role="img">'
        f"<title>Operations per second, logarithmic</title><style>{style}</style>"
        f'<rect width="{_WIDTH}" height="{y}" fill="#fff"/>'
        f'<text x="10" y="14">Logarithmic scale; blue rekindle, grey floor, yellow peers</text>{"".join(parts)}</svg>\n'
    )


def _bar(one: Series, y: float) -> list[str]:
    kind = "ours" if one.contender.startswith("rekindle") else "floor" if one.contender.startswith("floor") else "peer"
    length = max(2.0, log10(max(one.median, 1.0)) / _SCALE * (_WIDTH - _LEFT - 70))
    return [
        f'<text x="{_LEFT - 6}" y="{y + 12}" text-anchor="end">{escape(one.contender)}</text>',
        f'<rect class="{kind}" x="{_LEFT}" y="{y}" width="{length:.1f}" height="{_BAR}"/>',
        f'<text x="{_LEFT + length + 5:.1f}" y="{y + 12}">{one.median:,.0f}</text>',
    ]
