"""The figures as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from bench.contenders import CALLERS
from bench.harness import Series
from bench.workload import Results, Sizes

NAMES = {"sqlite": "SQLite", "postgresql": "PostgreSQL", "mariadb": "MariaDB"}


def title(chosen: Any, sizes: Sizes) -> str:
    return (
        "# Benchmarks\n\n"
        f"Made by `python -m bench{' --quick' if chosen.quick else ''}`: {chosen.rounds} rounds in turn, slices of"
        f" {chosen.seconds} s or more per contender and round, a document of 1.2 KB, a list among {sizes.listed:,}"
        f" rows, a count among {sizes.counted:,} of which one in twenty is outdated. Per second: the median of the"
        ' rounds, and the lowest and highest. "Of floor": the median of the ratios within each round. Processor time'
        " is that of this process alone, all its threads; on SQLite that is all of the work, on a server the client's"
        f" share. A list page, a load_many and a count are one call each. {CALLERS} callers are threads, or tasks for"
        " the asynchronous.\n\nA write of one caller waits for the disk most of the time, and a disk that others use"
        " differs several times over from one slice to the next: where lowest and highest of two contenders overlap,"
        " their order on the clock means nothing, and processor time says which does more work."
    )


def section(results: Results) -> str:
    lines = [f"## {NAMES[results.engine]}", "", f"{results.settings}."]
    for operation in dict.fromkeys(one.operation for one in results.series):
        lines += ["", f"### {operation}", "", *_table(results, operation)]
    if results.plan:
        lines += ["", "Plan of count_by_schema_version:", "", "```text", results.plan, "```"]
    if results.traffic:
        lines += ["", "What one call sends, once everything is connected and prepared:", ""]
        lines += ["| contender | call | sends |", "|---|---|---|", *results.traffic]
    kinds = dict.fromkeys(one.contender for one in results.series)
    lines += ["", "What a call does more or less than the floor:", ""]
    lines += [f"- {kind.name}: {kind.differs}" for kind in kinds]
    return "\n".join(lines)


def _table(results: Results, operation: str) -> Iterator[str]:
    colours = [results.named(operation, 1, asynchronous=colour) for colour in (False, True)]
    many = [results.named(operation, CALLERS, asynchronous=colour) for colour in (False, True)]
    head = "| contender | per second | lowest - highest | of floor | processor us | of floor |"
    rule = "|---|---:|---:|---:|---:|---:|"
    if any(many):
        head += f" {CALLERS} callers: per second | lowest - highest | of floor |"
        rule += "---:|---:|---:|"
    yield from (head, rule)
    for alone, together in zip(colours, many, strict=True):
        yield from _rows(alone, together, wide=any(many))


def _rows(alone: Sequence[Series], together: Sequence[Series], *, wide: bool) -> Iterator[str]:
    for one in sorted(alone, key=lambda one: -one.rate):
        cells = [one.label, *_clock(one, alone), f"{one.microseconds:,.0f}"]
        base = floor_of(alone)
        cells.append(f"{one.times_by_processor(base):.2f}" if base else "")
        if wide:
            same = next((other for other in together if other.label == one.label), None)
            cells += _clock(same, together) if same else ["", "", ""]
        yield f"| {' | '.join(cells)} |"


def _clock(one: Series, among: Iterable[Series]) -> list[str]:
    base = floor_of(among)
    spread = f"{figure(min(one.rates))} - {figure(max(one.rates))}"
    return [figure(one.rate), spread, f"{one.times(base):.2f}" if base else ""]


def floor_of(series: Iterable[Series]) -> Series | None:
    return next((one for one in series if one.contender.family == "floor"), None)


def figure(rate: float) -> str:
    """Give as many digits as mean something."""
    return f"{rate:,.0f}" if rate >= 100 else f"{rate:.1f}"
