"""`rekindle schema`: the history of the document, for whoever changes it."""

from __future__ import annotations

from pathlib import Path

import click

from rekindle import schema as released
from rekindle.cli.command import FAILED, WORK_REMAINS, Group, finish, json_option
from rekindle.cli.output import narrate, table, write, write_json
from rekindle.history import BROKEN, Finding, History, Verdict, check, freeze, goldens, new, read_snapshots, verdicts

golden_option = click.option(
    "--golden",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="DIRECTORY",
    help="Where the golden files are. [default: tests/golden of the checkout]",
)


@click.group(cls=Group, examples=["rekindle schema check", "rekindle schema new"])
def schema() -> None:
    """
    List, check and add the document's schema versions.

    No database is involved. `new` and `freeze` write to a checkout of rekindle.
    """


@schema.command("list", examples=["rekindle schema list", "rekindle schema list --json"])
@golden_option
@json_option
def list_(golden: Path | None, as_json: bool) -> None:
    """
    List the schema versions, and what each means for the others.
    """
    history = History.of(released, golden)
    snapshots, _ = read_snapshots(history)
    rows = [
        {
            "schema_version": number,
            "state": "missing" if snapshot is None else "frozen" if snapshot.frozen else "draft",
            "downcast": module.DOWNCAST,
            "golden": None if directory is None else sum(1 for _ in goldens(directory)),
            "fingerprint": snapshot and snapshot.seal,
            "summary": module.SUMMARY,
        }
        for number, module in history.versions.items()
        for snapshot, directory in [(snapshots.get(number), history.golden_path(number))]
    ]
    if as_json:
        write_json(rows)
        return
    headers = ("version", "state", "downcast", "golden", "summary")
    cells = [[_shown(row[key]) for key in ("schema_version", *headers[1:])] for row in rows]
    write(table(headers, cells, right={"version", "golden"}, folding={"summary"}))


def _shown(value: object) -> str:
    return "-" if value is None else str(value)


@schema.command("check", examples=["rekindle schema check", "rekindle schema check --json"])
@golden_option
@json_option
def check_(golden: Path | None, as_json: bool) -> None:
    """
    Compare the versions with what was released, and judge the newest against each older one.

    Exit code 1 when something released was edited, or a step is not pure; 3 when only the newest version is unfinished.
    """
    history = History.of(released, golden)
    findings = check(history)
    judged = verdicts(read_snapshots(history)[0])
    if as_json:
        write_json({"findings": [_finding(each) for each in findings], "verdicts": [each._asdict() for each in judged]})
    else:
        for finding in findings:
            write(f"{finding.path} {finding.problem}; {finding.remedy}")
        for verdict in judged:
            _write_verdict(verdict)
    if history.golden is None:
        narrate("golden files are not installed and were not checked; run this in a checkout, or say --golden")
    narrate(f"{len(history.versions)} schema versions, {len(findings) or 'nothing'} to mend")
    if findings:
        finish(FAILED if any(finding.state == BROKEN for finding in findings) else WORK_REMAINS)


def _finding(finding: Finding) -> dict[str, str]:
    return {**finding._asdict(), "path": str(finding.path)}


def _write_verdict(verdict: Verdict) -> None:
    write(f"{verdict.newest} against {verdict.older}: {verdict.verdict}")
    for reason in verdict.backward:
        write(f"  step: {reason}")
    for reason in verdict.forward:
        write(f"  downcast: {reason}")


@schema.command("freeze", examples=["rekindle schema freeze"])
@click.option("--unreleased", is_flag=True, help="Freeze the newest version anew; no release has had it.")
@golden_option
@json_option
def freeze_(unreleased: bool, golden: Path | None, as_json: bool) -> None:
    """
    Freeze the newest version, and fingerprint new golden files. What is frozen stays as it is.
    """
    _wrote(freeze(History.of(released, golden), unreleased=unreleased), as_json=as_json)


@schema.command("new", examples=["rekindle schema new"])
@golden_option
@json_option
def new_(golden: Path | None, as_json: bool) -> None:
    """
    Begin the next schema version: module with a step to write, registration, draft snapshot, golden directory.
    """
    _wrote(new(History.of(released, golden)), as_json=as_json)
    narrate("now write the step, the summary and golden documents; `rekindle schema check` says what is left")


def _wrote(paths: list[Path], *, as_json: bool) -> None:
    if as_json:
        write_json([str(path) for path in paths])
    else:
        for path in paths:
            write(str(path))
    narrate(f"{len(paths) or 'no'} files written")
