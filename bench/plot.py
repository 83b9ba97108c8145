"""The figures as a picture, as SVG by hand: a panel per database, a row per operation, a mark per contender."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from math import log10
from pathlib import Path

from bench.report import NAMES
from bench.workload import LOAD, LOAD_MANY, PAGE, SAVE, Results

_ROWS = ("create", LOAD, SAVE, "update", PAGE, LOAD_MANY)
# Okabe and Ito's colours, which the colour-blind can tell apart.
_COLOURS = {
    "rekindle": "#0072b2", "floor": "#000000", "LangGraph": "#d55e00", "agno": "#e69f00", "google-adk": "#cc79a7",
    "openai-agents": "#56b4e9", "SQLAlchemy ORM by hand": "#009e73", "aiosqlite under SQLAlchemy Core": "#999999",
}  # fmt: skip
_WIDTH, _LEFT, _RIGHT, _ROW = 960, 190, 30, 26
_LOWEST, _HIGHEST = 0, 5.2
"""Powers of ten at the edges; what is slower is drawn at the left edge."""
_STYLE = (
    "text{font:13px sans-serif;fill:#222}.title{font-weight:bold;font-size:15px}.axis{fill:#555;font-size:12px}"
    ".grid{stroke:#ddd}.band{fill:#f5f5f5}"
)


def write(path: Path, found: Sequence[Results]) -> None:
    """Draw what one caller reached."""
    parts = list(_legend())
    y = 108
    for results in found:
        drawn, y = _panel(results, y)
        parts += drawn
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {y}" width="{_WIDTH}" height="{y}" role="img">'
        "<title>Calls per second of one caller, by database, operation and contender</title>"
        f'<style>{_STYLE}</style><rect width="{_WIDTH}" height="{y}" fill="#fff"/>'
    )
    path.write_text("\n".join([head, *parts, "</svg>"]) + "\n")


def _legend() -> Iterator[str]:
    yield '<text x="10" y="22" class="title">Calls per second of one caller; further right is faster</text>'
    for number, family in enumerate(_COLOURS):
        x, y = 18 + number % 4 * 235, 50 + number // 4 * 24
        yield _mark(family, x, y)
        yield f'<text x="{x + 14}" y="{y + 4}">{escape(_explained(family))}</text>'


def _explained(family: str) -> str:
    return {"floor": "floor: the bare driver", "aiosqlite under SQLAlchemy Core": "aiosqlite under Core"}.get(
        family, family
    )


def _panel(results: Results, y: float) -> tuple[list[str], float]:
    rows = [
        (f"{operation}, {colour}", series)
        for colour, asynchronous in (("sync", False), ("async", True))
        for operation in _ROWS
        if (series := results.named(operation, asynchronous=asynchronous))
    ]
    parts = [f'<text x="10" y="{y}" class="title">{NAMES[results.engine]}</text>']
    top, bottom = y + 10, y + 10 + len(rows) * _ROW
    bands = (top + number * _ROW for number in range(0, len(rows), 2))
    parts += [f'<rect class="band" x="0" y="{band}" width="{_WIDTH}" height="{_ROW}"/>' for band in bands]
    parts += _axis(top, bottom)
    for number, (name, series) in enumerate(rows):
        middle = top + number * _ROW + _ROW / 2
        parts.append(f'<text x="{_LEFT - 12}" y="{middle + 4}" text-anchor="end">{escape(name)}</text>')
        for one in sorted(series, key=lambda one: one.contender.family == "rekindle"):  # ours on top
            tip = f"<title>{escape(one.label)}: {one.rate:,.0f} per second</title>"
            parts.append(f"<g>{tip}{_mark(one.contender.family, _x(one.rate), middle)}</g>")
    return parts, bottom + 58


def _axis(top: float, bottom: float) -> Iterator[str]:
    for power in range(_LOWEST, int(_HIGHEST) + 1):
        x = _x(10.0**power)
        yield f'<line class="grid" x1="{x:.1f}" y1="{top}" x2="{x:.1f}" y2="{bottom + 4}"/>'
        yield f'<text class="axis" x="{x:.1f}" y="{bottom + 18}" text-anchor="middle">{10**power:,}</text>'
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    yield (
        f'<text class="axis" x="{middle}" y="{bottom + 34}" text-anchor="middle">calls per second, logarithmic</text>'
    )


def _x(rate: float) -> float:
    share = (log10(max(rate, 10.0**_LOWEST)) - _LOWEST) / (_HIGHEST - _LOWEST)
    return _LEFT + share * (_WIDTH - _RIGHT - _LEFT)


def _mark(family: str, x: float, y: float) -> str:
    """Draw the floor as a line that the others are before or behind, rekindle as a diamond, the peers as dots."""
    colour = _COLOURS[family]
    match family:
        case "floor":
            return f'<line x1="{x:.1f}" y1="{y - 10}" x2="{x:.1f}" y2="{y + 10}" stroke="{colour}" stroke-width="3"/>'
        case "rekindle":
            points = f"{x:.1f},{y - 8} {x + 8:.1f},{y} {x:.1f},{y + 8} {x - 8:.1f},{y}"
            return f'<polygon points="{points}" fill="{colour}" stroke="#fff"/>'
        case _:
            return f'<circle cx="{x:.1f}" cy="{y}" r="6" fill="{colour}" stroke="#fff"/>'
