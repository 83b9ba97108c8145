"""`rekindle backfill`: rewrite outdated rows, and steer the runs that do."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import Any

import click
from sqlalchemy import make_url
from sqlalchemy.engine import Engine

from rekindle import backfill as backfills
from rekindle.backfill import Controls, Report, Settings, runs
from rekindle.backfill.runs import Run
from rekindle.backfill.walk import Progress
from rekindle.cli.command import (
    WORK_REMAINS,
    Command,
    Group,
    connected,
    engine_of,
    finish,
    json_option,
    realm_option,
    url_option,
)
from rekindle.cli.output import facts, moment, narrate, table, write, write_json
from rekindle.cli.progress import progress
from rekindle.cli.stopping import stopping
from rekindle.counting import rows_by_schema_version
from rekindle.schema import CURRENT

_ROWS = click.IntRange(1)


class _Runnable(Command, Group):
    """A group of commands that is a command itself."""


@click.group(
    cls=_Runnable,
    invoke_without_command=True,
    subcommand_metavar="[list|pause|resume|cancel]",
    examples=["rekindle backfill --dry-run", "rekindle backfill --workers 2", "rekindle backfill --ensure 3"],
)
@click.option("--dry-run", is_flag=True, help="Convert and validate, write nothing, and say what would happen.")
@click.option("--limit", type=_ROWS, metavar="ROWS", help="Stop after so many rows.")
@click.option("--batch-size", type=_ROWS, metavar="ROWS", help="Rows in a transaction. [default: adapts]")
@click.option("--max-rate", type=click.FloatRange(0, min_open=True), metavar="ROWS", help="Rows per second at most.")
@click.option("--workers", type=_ROWS, default=1, show_default=True, help="Processes that convert and write.")
@click.option("--pause-file", metavar="PATH", help="Hold still as long as this file exists.")
@click.option("--max-replica-lag", type=float, metavar="SECONDS", help="Hold still while a replica of PostgreSQL lags.")
@click.option("--max-lock-waits", type=int, metavar="N", help="Hold still while more transactions wait for locks.")
@click.option(
    "--max-failures", type=int, default=1_000, show_default=True, help="Fail when more rows cannot be converted."
)
@click.option(
    "--max-failure-share", type=click.FloatRange(0, 1), default=0.1, show_default=True, metavar="SHARE",
    help="Fail when a larger share of the rows cannot be converted.",
)  # fmt: skip
@click.option("--ensure", type=_ROWS, metavar="VERSION", help="Convert nothing; exit 0 if no row is below VERSION.")
@url_option
@realm_option
@json_option
@click.pass_context
def backfill(ctx: click.Context, /, url: str, ensure: int | None, as_json: bool, **options: Any) -> None:
    """
    Rewrite outdated rows at the current schema version.

    Programs that use the sessions meanwhile do not notice. Stop it at any moment, run it from any number of machines,
    run it again: what is done is done. Ctrl-C ends it behind the batch.
    """
    if ctx.invoked_subcommand is not None:
        return
    if ensure is not None:
        _ensure(url, ensure, as_json)
        return
    if options["max_replica_lag"] is not None and make_url(url).get_backend_name() != "postgresql":
        raise click.UsageError("--max-replica-lag asks PostgreSQL; use --max-rate or --pause-file on other databases")
    settings = Settings(**options)
    with engine_of(url) as engine:
        _run(lambda controls: backfills.run(engine, settings, controls), engine, url, settings, as_json)


@backfill.command("list", examples=["rekindle backfill list", "rekindle backfill list --json"])
@url_option
@json_option
def list_(url: str, as_json: bool) -> None:
    """
    List the latest runs, newest first.
    """
    with connected(url) as connection:
        found = runs.recent(connection)
    if as_json:
        write_json([*map(as_document, found)])
        return
    write(runs_table(found))


@backfill.command(examples=["rekindle backfill pause 3f2a"])
@click.argument("run_id", metavar="RUN")
@url_option
@json_option
def pause(run_id: str, url: str, as_json: bool) -> None:
    """
    Stop a run behind its batch, to be resumed. RUN may be the beginning of its id.
    """
    _tell(runs.pause, run_id, url, as_json)


@backfill.command(examples=["rekindle backfill cancel 3f2a"])
@click.argument("run_id", metavar="RUN")
@url_option
@json_option
def cancel(run_id: str, url: str, as_json: bool) -> None:
    """
    Stop a run behind its batch, for good. What it has converted stays converted.
    """
    _tell(runs.cancel, run_id, url, as_json)


@backfill.command(examples=["rekindle backfill resume 3f2a"])
@click.argument("run_id", metavar="RUN")
@url_option
@json_option
def resume(run_id: str, url: str, as_json: bool) -> None:
    """
    Go on here with a run that was paused, has failed or was killed, as it was started.
    """
    with connected(url) as connection:
        settings = Settings(**runs.find(connection, run_id).options)
    with engine_of(url) as engine:
        _run(lambda controls: backfills.resume(engine, run_id, controls), engine, url, settings, as_json)


def _ensure(url: str, version: int, as_json: bool) -> None:
    if version > CURRENT:
        raise click.UsageError(f"this release writes schema version {CURRENT}, so none can be ensured above")
    with connected(url) as connection:
        left = backfills.remaining(connection, version)
    if as_json:
        write_json({"schema_version": version, "ok": left.is_none, **asdict(left), "at_least": left.at_least})
    elif left.is_none:
        narrate(f"no row is below schema version {version}, and none is in the quarantine")
    else:
        narrate(_left(left, version))
    if not left.is_none:
        finish(WORK_REMAINS)


def _left(left: backfills.Remaining, version: int) -> str:
    listed = f"{_rows(left.quarantined)} in the quarantine"
    if left.outdated <= left.quarantined:
        return f"{listed}; see `rekindle quarantine list`"
    more = f"more than {_rows(backfills.COUNTED)}" if left.at_least else _rows(left.outdated)
    return (
        f"{more} below schema version {version}, and {listed}; "
        "run `rekindle backfill`, then see `rekindle quarantine list`"
    )


def _rows(count: int) -> str:
    return "1 row is" if count == 1 else f"{count:,} rows are"


def _run(go: Callable[[Controls], Report], engine: Engine, url: str, settings: Settings, as_json: bool) -> None:
    with engine.connect() as connection:
        counts = rows_by_schema_version(connection, backfills.version_to_write(settings.to_version))
    total = sum(count.rows for count in counts.values())
    what = "checked" if settings.dry_run else "backfill"
    expected = total if settings.limit is None else min(total, settings.limit)
    with stopping() as stop, progress(what, None if settings.realm else expected, quiet=as_json) as advance:
        report = go(Controls(stop, lambda now: advance(now.done.settled, _note(now))))
    if as_json:
        write_json(_report_document(report))
    else:
        _tell_report(report, url)
    if report.done.quarantined if settings.dry_run else not (report.state == "succeeded" and report.remaining.is_none):
        finish(WORK_REMAINS)


def _note(now: Progress) -> str:
    return f"waits: {now.waits_for}" if now.waits_for else f"batches of {now.batch_size:,}"


def _tell_report(report: Report, url: str) -> None:
    done = report.done
    would = "would " if report.run_id is None else ""
    speed = done.settled / report.seconds if report.seconds else 0
    about = [
        *([] if report.run_id is None else [("run", f"{report.run_id}, {report.state}")]),
        (f"{would}convert" if would else "converted", f"{done.converted:,} ({speed:,.0f}/s)"),
        ("left to clients", f"{done.left_to_client:,}"),
        (f"{would}quarantine" if would else "quarantined", f"{done.quarantined:,}"),
        ("quarantined before", f"{done.known:,}"),
    ]
    write(facts(about))
    if done.failures:
        rows = [(each.seen["_session_id"], each.step, each.message) for each in done.failures[:10]]
        write(f"\n{table(('session', 'step', 'message'), rows, folding=('message',))}")
    if report.run_id is None:
        return
    if report.state == "paused":
        again = f"rekindle backfill resume {report.run_id} --url {_shown(url)}"
        narrate(f"stopped: {report.reason}; go on with `{again}`")
    elif report.state == "cancelled":
        narrate(f"stopped: {report.reason}; what is converted stays so, and `rekindle backfill` begins another run")
    elif not report.remaining.is_none:
        narrate(_left(report.remaining, report.to_version))


def _shown(url: str) -> str:
    return make_url(url).render_as_string(hide_password=True)


def _report_document(report: Report) -> dict[str, Any]:
    counts = asdict(report.done)
    failures = [
        {"session_id": each["seen"]["_session_id"], "step": each["step"], "message": each["message"]}
        for each in counts.pop("failures")
    ]
    counts.pop("seconds")
    return {
        "run_id": report.run_id, "state": report.state, "reason": report.reason, "to_version": report.to_version,
        **counts, "seconds": report.seconds, "remaining": asdict(report.remaining), "failures": failures,
    }  # fmt: skip


def _tell(tell: Callable[..., Run], run_id: str, url: str, as_json: bool) -> None:
    with connected(url) as connection:
        run = tell(connection, run_id)
    if as_json:
        write_json(as_document(run))
    else:
        narrate(f"run {run.run_id} is {run.state}")


def runs_table(found: Iterable[Run]) -> str:
    """Lay out runs, one to a line."""
    headers = ("backfill", "state", "to", "converted", "to clients", "quarantined", "started", "by")
    return table(headers, [_cells(run) for run in found], right=headers[2:6])


def as_document(run: Run) -> dict[str, Any]:
    """Make a run a JSON object."""
    document = {name: getattr(run, name) for name in run.__dataclass_fields__}
    return {**document, "settings": run.options, "lost": run.is_lost}


def _cells(run: Run) -> tuple[str, ...]:
    state = f"{run.state}, but gone: resume it" if run.is_lost else run.state
    counts = (run.to_schema_version, run.converted, run.left_to_client, run.quarantined)
    return (run.run_id, state, *(f"{count:,}" for count in counts), moment(run.started_at), run.started_by)
