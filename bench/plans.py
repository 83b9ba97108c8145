"""How each database says it counts."""

from __future__ import annotations

import sqlalchemy as sa

from rekindle.statements import statements

_EXPLAIN = {"sqlite": "EXPLAIN QUERY PLAN", "postgresql": "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF)"}


def of_count(url: sa.URL) -> str:
    """Explain count_by_schema_version."""
    engine = sa.create_engine(url)
    sql = str(statements(engine.dialect.name, scoped=False).count.compile(engine))
    with engine.connect() as connection:
        rows = connection.exec_driver_sql(f"{_EXPLAIN.get(engine.dialect.name, 'EXPLAIN')} {sql}").mappings().all()
    engine.dispose()
    match engine.dialect.name:
        case "sqlite":
            return "\n".join(row["detail"] for row in rows)
        case "postgresql":
            return "\n".join(row["QUERY PLAN"] for row in rows)
        case _:
            return "\n".join(f"{row['type']}  key {row['key']}  {row['Extra']}" for row in rows)
