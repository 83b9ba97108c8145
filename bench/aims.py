"""The aims of this release, each with the figure reached; nothing here is typed in by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from bench.contenders import CALLERS
from bench.harness import Series
from bench.report import NAMES, floor_of
from bench.workload import BY_VERSION, COUNT, LOAD, LOAD_MANY, PAGE, SAVE, Results

_NO_PEERS = ("floor", "rekindle", "aiosqlite under SQLAlchemy Core")
_OF_FLOOR = {
    ("sqlite", LOAD): 0.55, ("sqlite", SAVE): 0.85, ("postgresql", LOAD): 0.7, ("postgresql", SAVE): 0.8,
}  # fmt: skip
_SCALING = Path(__file__).with_name("scaling.md")
_HEAD = (
    "## Aims of this release",
    "",
    "Ratios are medians of the ratios within rounds, on the clock; in brackets, on SQLite, those by processor time.",
    "Scaling is measured in a run of its own, and its lines are taken from [scaling.md](scaling.md).",
    "",
    "| operation | aim | reached | |",
    "|---|---|---|---|",
)
_Line = tuple[str, str, str, bool | None]
"""What, the aim, the figure, whether it is reached; None when nothing was measured that could tell."""


def table(found: Mapping[str, Results], import_adds: float | None) -> str:
    """List them all, for one caller and for several."""
    lines: list[_Line] = []
    for results in found.values():
        lines += _of_one_row(results)
        lines += _of_many_rows(results)
    if "sqlite" in found:
        lines += _by_version(found["sqlite"])
    if import_adds is not None:
        lines.append(("import of the package", "adds less than 25 %", f"{import_adds:+.0%}", import_adds < 0.25))
    lines += _of_scaling()
    words = {True: "yes", False: "**no**", None: "not measured"}
    rows = [f"| {what} | {aim} | {reached} | {words[held]} |" for what, aim, reached, held in lines]
    return "\n".join([*_HEAD, *rows])


def _of_one_row(results: Results) -> Iterator[_Line]:
    for operation in (LOAD, SAVE):
        for asynchronous in (False, True):
            for callers in (1, CALLERS):
                series = results.named(operation, callers, asynchronous=asynchronous)
                ours, base = _ours(series), floor_of(series)
                if ours is None or (results.engine, operation) not in _OF_FLOOR:
                    continue
                colour = "async" if asynchronous else "sync"
                at_once = "one caller" if callers == 1 else f"{callers} callers"
                what = f"{NAMES[results.engine]}: {colour} {operation}, {at_once}"
                if results.engine == "sqlite" and asynchronous:
                    yardstick = next((one for one in series if one.label.startswith("aiosqlite under")), None)
                    yield _ratio(f"{what}, of aiosqlite under Core", ours, yardstick, 5)
                else:
                    yield _ratio(f"{what}, of the floor", ours, base, _OF_FLOOR[results.engine, operation])
                yield from _fastest(what, ours, series)


def _of_many_rows(results: Results) -> Iterator[_Line]:
    name = NAMES[results.engine]
    for colour, asynchronous in (("sync", False), ("async", True)):
        pages = results.named(PAGE, asynchronous=asynchronous)
        ours = _ours(pages)
        if ours and (best := _best_peer(ours, pages)):
            what, aim, reached, held = _ratio(f"{name}: {colour} {PAGE}, of the best peer{_named(best)}", ours, best, 5)
            base = floor_of(pages)
            yield what, aim, f"{reached}, the floor {base.times(best):.2f}" if base else reached, held
        many = results.named(LOAD_MANY, asynchronous=asynchronous)
        if ours := _ours(many):
            yield _ratio(f"{name}: {colour} {LOAD_MANY}, of the floor", ours, floor_of(many), 0.6)
    counts = results.named(COUNT)
    if ours := _ours(counts):
        base = floor_of(counts)
        slower = 1 / ours.times(base) if base else None
        yield (
            f"{name}: {COUNT}, in the time of count(*)", "at most 1.5",
            f"{slower:.2f}" if slower else "", slower <= 1.5 if slower else None,
        )  # fmt: skip


def _by_version(results: Results) -> Iterator[_Line]:
    for asynchronous in (False, True):
        series = results.named(BY_VERSION, asynchronous=asynchronous)
        current = next((one for one in series if one.label.endswith("version 3")), None)
        for one in series:
            if one is not current:
                yield _ratio(f"SQLite: load, {one.label}, of a current one", one, current, 0.5)


def _of_scaling() -> Iterator[_Line]:
    """Read the lines that the other run judged."""
    for line in _SCALING.read_text().splitlines() if _SCALING.exists() else ():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if cells[-1] in {"yes", "**no**"}:
            yield f"{cells[0]}, huge table beside small", "at most 1.5", cells[3], cells[-1] == "yes"


def _ratio(what: str, ours: Series, other: Series | None, aim: float) -> _Line:
    if other is None:
        return what, f"at least {aim:g}", "", None
    reached = ours.times(other)
    text = f"{reached:.2f}"
    if what.startswith("SQLite"):
        text += f" ({ours.times_by_processor(other):.2f})"
    return what, f"at least {aim:g}", text, reached >= aim


def _fastest(what: str, ours: Series, series: Sequence[Series]) -> Iterator[_Line]:
    best = _best_peer(ours, series)
    if best is not None:
        line = _ratio(f"{what}, of the best peer{_named(best)}", ours, best, 1)
        yield (line[0], "more than 1", *line[2:])


def _best_peer(ours: Series, series: Sequence[Series]) -> Series | None:
    peers = [one for one in series if one.contender.family not in _NO_PEERS]
    return min(peers, key=ours.times, default=None)


def _named(best: Series | None) -> str:
    return f" ({best.label})" if best else ""


def _ours(series: Sequence[Series]) -> Series | None:
    is_ours: Callable[[Series], bool] = lambda one: one.contender.family == "rekindle"  # noqa: E731 - a word for it
    return next(filter(is_ours, series), None)
