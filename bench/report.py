"""The figures as Markdown."""

from __future__ import annotations

from typing import Any

from bench.harness import Series

_NAMES = {"sqlite": "SQLite", "postgresql": "PostgreSQL", "mariadb": "MariaDB"}


def title(chosen: Any, sizes: Any) -> str:
    return (
        "# Benchmarks\n\n"
        f"Made by `python -m bench{' --full' if chosen.full else ''}`: {chosen.rounds} rounds in turn,"
        f" {chosen.seconds} s per contender and round, a document of 1.2 KB, a list among {sizes.listed:,} rows,"
        f" a count among {sizes.counted:,}. Figures are operations per second, the median of the rounds with the lowest"
        ' and the highest; "of floor" is the median of the ratios within each round. SQLite runs in WAL mode with'
        " synchronous=FULL for everybody, the servers with their defaults."
    )


def section(engine: str, series: list[Series], plan: str) -> str:
    lines = [f"## {_NAMES[engine]}"]
    for operation in dict.fromkeys((one.operation, one.callers) for one in series):
        some = [one for one in series if (one.operation, one.callers) == operation]
        lines += ["", *_table(operation[0], operation[1], some)]
    if plan:
        lines += ["", "Plan of count_by_schema_version:", "", "```text", plan, "```"]
    lines += ["", "What a call does more or less than the floor:", ""]
    lines += [f"- {name}: {differs}" for name, differs in dict.fromkeys((one.contender, one.differs) for one in series)]
    return "\n".join(lines)


def _table(operation: str, callers: int, series: list[Series]):
    at_once = "one caller" if callers == 1 else f"{callers} threads or tasks"
    yield f"### {operation}, {at_once}"
    yield ""
    yield "| contender | per second | lowest - highest | of floor |"
    yield "|---|---:|---:|---:|"
    for colour in (False, True):
        mine = [one for one in series if one.asynchronous is colour]
        base = next((one for one in mine if one.contender.startswith("floor")), None)
        for one in sorted(mine, key=lambda one: -one.median):
            of_floor = f"{one.ratio(base):.2f}" if base else ""
            yield f"| {one.contender} | {one.median:,.0f} | {one.spread} | {of_floor} |"
