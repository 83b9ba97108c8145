"""Who may import whom: the table of the design, asserted from the import statements."""

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[2] / "src" / "rekindle"
MIGRATIONS = SOURCE.parents[1] / "migrations"

PURE = (
    "attempts",
    "schema",
    "upcasting",
    "history",
    "codec",
    "identity",
    "secret_guard",
    "secret_formats",
    "errors",
    "moments",
    "session_id",
    "record",
    "observability",
)
TABLES = ("tables", "orm", "originals", "statements", "execution", "engine", "revision", "database")
# The document's history and the tables' history meet in the repository; what stands on it may reach both ways.
ALLOWED = {
    "errors": set(),
    "secret_formats": set(),
    "secret_guard": {"secret_formats"},
    "moments": set(),
    "session_id": {"errors", "moments"},
    "schema": {"errors"},
    "upcasting": {"schema", "errors"},
    "history": {"schema", "errors"},
    "identity": {"schema", "errors"},
    "codec": {"schema", "upcasting", "errors", "secret_guard"},
    "record": {"schema", "errors", "moments"},
    "observability": {"schema", "errors"},
    "tables": {"moments"},
    "orm": {"tables"},
    "originals": {"execution", "tables"},
    "statements": {"tables"},
    "execution": set(),
    "engine": {"errors"},
    "revision": {"engine", "errors", "tables"},
    "database": {"engine", "errors", "tables", "revision"},
    "attempts": {"record"},
    "rewriting": {"codec", "errors", "observability", "schema"},
    "repository": {
        "attempts",
        "codec",
        "errors",
        "execution",
        "moments",
        "observability",
        "originals",
        "record",
        "rewriting",
        "schema",
        "secret_guard",
        "session_id",
        "statements",
    },
    "aio": {"record", "repository", "schema"},
}


def imports(path: Path) -> set[str]:
    """Every module that a file imports, wherever in the file."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def files_of(module: str) -> list[Path]:
    package = SOURCE / module
    return sorted(package.rglob("*.py")) if package.is_dir() else [SOURCE / f"{module}.py"]


@pytest.mark.parametrize("module", sorted(ALLOWED))
def test_modules_import_only_what_stands_below_them(module):
    """A module imports of ours what the table allows, and nothing else."""
    ours = {
        name.split(".")[1]
        for path in files_of(module)
        for name in imports(path)
        if (name.startswith("rekindle.") and (SOURCE / name.split(".")[1]).with_suffix(".py").exists())
        or name.startswith("rekindle.schema")
    }

    assert ours <= ALLOWED[module] | {module}


@pytest.mark.parametrize("module", PURE)
def test_the_history_of_the_document_knows_no_database(module):
    """Left of the repository nothing imports SQLAlchemy, alembic or a driver."""
    found = {name.split(".")[0] for path in files_of(module) for name in imports(path)}

    assert found.isdisjoint({"sqlalchemy", "alembic", "sqlite3", "psycopg", "pymysql"})


@pytest.mark.parametrize("module", TABLES)
def test_the_history_of_the_tables_knows_no_document(module):
    """Right of the repository nothing imports pydantic."""
    found = {name.split(".")[0] for path in files_of(module) for name in imports(path)}

    assert found.isdisjoint({"pydantic", "pydantic_core"})


def test_revisions_stand_alone():
    """A released revision imports nothing of ours: the code moves on, the revision never does."""
    revisions = sorted((MIGRATIONS / "versions").glob("*.py"))

    assert revisions
    assert not any(name.startswith("rekindle") for path in revisions for name in imports(path))


def test_the_async_repository_decides_nothing():
    """One implementation serves sync and async: the asynchronous side has no branch of its own."""
    tree = ast.parse((SOURCE / "aio.py").read_text(encoding="utf-8"))

    assert not [node for node in ast.walk(tree) if isinstance(node, ast.If | ast.IfExp | ast.Match | ast.Try)]


def test_the_house_stays_small():
    """No file has more than 400 lines, no function more than 40, and 90 of 100 functions at most 25."""
    lengths = []
    for path in SOURCE.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert text.count("\n") <= 400, path
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lengths.append((node.end_lineno or 0) - node.lineno + 1)
                assert lengths[-1] <= 40, (path, node.name)
    lengths.sort()

    assert lengths[len(lengths) * 9 // 10] <= 25
