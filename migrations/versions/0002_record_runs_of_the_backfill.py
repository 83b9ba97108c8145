"""
Record runs of the backfill.

The one table without a session_id: a run belongs to no session. It has a row per run, and an engine that shards keeps
it in one place.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_MARIADB = ("mysql", "mariadb")


def _text_key(length: int) -> sa.types.TypeEngine[str]:
    return (
        sa.String(length)
        .with_variant(sa.String(length, collation="C"), "postgresql")
        .with_variant(mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_nopad_bin"), *_MARIADB)
    )


_TEXT = sa.Text().with_variant(mysql.LONGTEXT(charset="utf8mb4", collation="utf8mb4_bin"), *_MARIADB)
_MOMENT = sa.DateTime(timezone=True).with_variant(mysql.DATETIME(fsp=6), *_MARIADB)


def _required(name: str, type_: Any) -> sa.Column[Any]:
    return sa.Column(name, type_, nullable=False)


def upgrade() -> None:
    op.create_table(
        "session_metadata_backfill",
        _required("run_id", _text_key(32)),
        _required("state", _text_key(16)),
        sa.Column("reason", _TEXT),
        _required("started_by", _text_key(255)),
        _required("library_version", _text_key(64)),
        sa.Column("from_schema_version", sa.Integer()),
        _required("to_schema_version", sa.Integer()),
        sa.Column("realm", _text_key(255)),
        _required("settings", _TEXT),
        _required("converted", sa.BigInteger()),
        _required("left_to_client", sa.BigInteger()),
        _required("quarantined", sa.BigInteger()),
        _required("skipped", sa.BigInteger()),
        sa.Column("error_class", _text_key(64)),
        _required("started_at", _MOMENT),
        _required("updated_at", _MOMENT),
        sa.Column("finished_at", _MOMENT),
        sa.PrimaryKeyConstraint("run_id", name="pk_session_metadata_backfill"),
        # On MariaDB every statement commits by itself: a run that was cut short has to find its own table again.
        if_not_exists=op.get_context().dialect.name in _MARIADB,
    )


def downgrade() -> None:
    op.drop_table("session_metadata_backfill")
