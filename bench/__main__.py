"""
How fast rekindle is beside the bare drivers and beside its peers.

    python -m bench [--quick] [--engine sqlite] [--only load] [--rounds 7] [--seconds 0.2] [--directory /dev/shm]
                    [--output bench/results.md] [--plot docs/benchmarks.svg]

Prints Markdown, and writes it and a plot where asked. Peers that are not installed
(bench/requirements.txt) and servers that do not answer are named and left out. --quick takes a list among 10,000 rows
and a count among 100,000, with short slices: for a look while developing, not for figures to publish.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

import sqlalchemy as sa

from bench import aims, imports, layers, machine, plot, report
from bench.contenders import adk_sessions, agno_db, by_hand, floor, langgraph_savers, openai_agents, ours
from bench.places import place
from bench.workload import Bench, Results, Sizes

CONTENDERS = (
    floor.Floor,
    ours.Store,
    langgraph_savers.SqliteSaver,
    langgraph_savers.PostgresSaver,
    agno_db.Agno,
    by_hand.Orm,
    floor.AsyncFloor,
    ours.AsyncStore,
    by_hand.AsyncCore,
    by_hand.AsyncOrm,
    langgraph_savers.AsyncSqliteSaver,
    agno_db.AsyncAgno,
    adk_sessions.Adk,
    openai_agents.OpenAiAgents,
)
_ENGINES = ("sqlite", "postgresql", "mariadb")


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--engine", action="append", choices=_ENGINES, help="all by default")
    parser.add_argument("--rounds", type=int, help="7, or 5 when quick")
    parser.add_argument("--seconds", type=float, help="of a slice: 0.2, or 0.05 when quick")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", action="append", help="operations whose name contains this")
    parser.add_argument("--directory", type=Path, help="where the SQLite files are made; a disk, for honest writes")
    parser.add_argument("--output", type=Path, help="Markdown")
    parser.add_argument("--plot", type=Path, help="SVG")
    parser.add_argument("--no-peers", action="store_true")
    chosen = parser.parse_args()
    chosen.rounds = chosen.rounds or (5 if chosen.quick else 7)
    chosen.seconds = chosen.seconds or (0.05 if chosen.quick else 0.2)
    return chosen


def installed(contender) -> bool:
    """Whether what it measures can be imported."""
    try:
        found = contender.package is None or find_spec(contender.package) is not None
    except ModuleNotFoundError:
        found = False
    if not found:
        print(f"{contender.name} is not installed and sits this out", file=sys.stderr)
    return found


def engines(chosen: argparse.Namespace, sizes: Sizes, directory: Path) -> dict[str, Results]:
    """Measure one engine after the other; a server that does not answer is named and left out."""
    present = [contender for contender in CONTENDERS if installed(contender)]
    if chosen.no_peers:
        present = [contender for contender in present if not contender.own_tables]
    found = {}
    for engine in chosen.engine or _ENGINES:
        mine = [contender for contender in present if engine in contender.engines]
        try:
            with place(engine, directory / engine) as here:
                found[engine] = Bench(here, mine, chosen, sizes).run()
        except sa.exc.OperationalError as error:
            print(f"{engine} is left out: {str(error).splitlines()[0]}", file=sys.stderr)
    return found


def main() -> None:
    chosen = options()
    sizes = Sizes(10_000, 100_000) if chosen.quick else Sizes(100_000, 1_000_000)
    load_before = machine.load()
    extra, import_adds = [], None
    with tempfile.TemporaryDirectory(prefix="rekindle-bench-", dir=chosen.directory) as directory:
        found = engines(chosen, sizes, Path(directory))
        if not chosen.only:
            with place("sqlite", Path(directory) / "layers") as here:
                extra.append(layers.table(here, chosen.rounds))
            imported, import_adds = imports.measured(chosen.rounds)
            extra.append(imported)
    page = [report.title(chosen, sizes), machine.described(load_before), aims.table(found, import_adds)]
    text = "\n\n".join([*page, *map(report.section, found.values()), *extra]) + "\n"
    print(text)
    if chosen.output:
        chosen.output.write_text(text)
    if chosen.plot:
        plot.write(chosen.plot, list(found.values()))


if __name__ == "__main__":
    main()
