"""
How fast rekindle is beside the bare drivers and beside its peers.

    python -m bench [--full] [--engine sqlite] [--rounds 7] [--seconds 0.2]
                    [--output bench/results.md] [--plot docs/benchmarks.svg]

Prints Markdown, and writes it and a plot where asked. Peers that are not installed
(bench/requirements.txt) and servers that do not answer are named and left out. --full takes the sizes of the aims: a
list among 100,000 rows, a count among 1,000,000.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

import sqlalchemy as sa

from bench import imports, layers, machine, plot, report, workload
from bench.contenders import adk_sessions, agno_db, by_hand, floor, langgraph_savers, openai_agents, ours
from bench.places import place

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


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--engine", action="append", choices=("sqlite", "postgresql", "mariadb"), help="all by default")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.2, help="per contender, operation and round")
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--only", action="append", help="operations whose name contains this")
    parser.add_argument("--directory", type=Path, help="where the SQLite files are made; a disk, for honest writes")
    parser.add_argument("--output", type=Path, help="Markdown")
    parser.add_argument("--plot", type=Path, help="SVG")
    parser.add_argument("--no-peers", action="store_true")
    return parser.parse_args()


def installed(contender) -> bool:
    """Whether what it measures can be imported."""
    try:
        found = contender.package is None or find_spec(contender.package) is not None
    except ModuleNotFoundError:
        found = False
    if not found:
        print(f"{contender.name} is not installed and sits this out", file=sys.stderr)
    return found


def main() -> None:
    chosen = options()
    sizes = workload.Sizes(100_000, 1_000_000) if chosen.full else workload.Sizes(20_000, 200_000)
    present = [contender for contender in CONTENDERS if installed(contender)]
    if chosen.no_peers:
        present = [contender for contender in present if not contender.own_tables]
    page = [report.title(chosen, sizes), machine.described()]
    results = {}
    with tempfile.TemporaryDirectory(prefix="rekindle-bench-", dir=chosen.directory) as directory:
        for engine in chosen.engine or ("sqlite", "postgresql", "mariadb"):
            mine = [contender for contender in present if engine in contender.engines]
            try:
                with place(engine, Path(directory) / engine) as here:
                    results[engine], plans = workload.run(here, mine, chosen, sizes)
            except sa.exc.OperationalError as error:
                print(f"{engine} is left out: {str(error).splitlines()[0]}", file=sys.stderr)
                continue
            page.append(report.section(engine, results[engine], plans))
        if not chosen.only:
            with place("sqlite", Path(directory) / "layers") as here:
                page.append(layers.table(here, chosen.rounds))
            page.append(imports.table(chosen.rounds))
    text = "\n\n".join(page) + "\n"
    print(text)
    if chosen.output:
        chosen.output.write_text(text)
    if chosen.plot:
        plot.write(chosen.plot, results)


if __name__ == "__main__":
    main()
