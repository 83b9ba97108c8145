"""Create the tables."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_MARIADB = ("mysql", "mariadb")


def _text_key(length: int) -> sa.types.TypeEngine[str]:
    return (
        sa.String(length)
        .with_variant(sa.String(length, collation="C"), "postgresql")
        .with_variant(mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_nopad_bin"), *_MARIADB)
    )


_PAYLOAD = sa.Text().with_variant(mysql.LONGTEXT(charset="utf8mb4", collation="utf8mb4_bin"), *_MARIADB)
_MOMENT = sa.DateTime(timezone=True).with_variant(mysql.DATETIME(fsp=6), *_MARIADB)
_INDEXES = (("schema_version", "session_id"), ("created_at", "session_id"), ("realm", "created_at", "session_id"))


def _required(name: str, type_: Any, **options: Any) -> sa.Column[Any]:
    return sa.Column(name, type_, nullable=False, **options)


def upgrade() -> None:
    # There every statement commits by itself, so a run that was cut short has to find its own tables again.
    again = op.get_context().dialect.name in _MARIADB
    op.create_table(
        "session_metadata",
        _required("session_id", _text_key(255)),
        _required("schema_version", sa.Integer()),
        _required("lock_version", sa.Integer()),
        _required("payload", _PAYLOAD),
        sa.Column("realm", _text_key(255)),
        _required("provider", _text_key(32)),
        _required("model", _text_key(255)),
        sa.Column("instance_id", _text_key(255)),
        sa.Column("comms_name", _text_key(255)),
        _required("created_at", _MOMENT),
        _required("updated_at", _MOMENT),
        sa.PrimaryKeyConstraint("session_id", name="pk_session_metadata"),
        if_not_exists=again,
    )
    for columns in _INDEXES:
        name = f"ix_session_metadata_{'_'.join(columns)}"
        op.create_index(name, "session_metadata", columns, if_not_exists=again)
    op.create_table(
        "session_metadata_archive",
        _required("session_id", _text_key(255)),
        _required("lock_version", sa.Integer(), autoincrement=False),
        _required("schema_version", sa.Integer(), autoincrement=False),
        _required("payload", _PAYLOAD),
        _required("payload_sha256", _text_key(64)),
        _required("changes", _PAYLOAD),
        sa.Column("realm", _text_key(255)),
        _required("library_version", _text_key(64)),
        _required("updated_at", _MOMENT),
        _required("archived_at", _MOMENT),
        sa.PrimaryKeyConstraint("session_id", "lock_version", "schema_version", name="pk_session_metadata_archive"),
        if_not_exists=again,
    )
    op.create_table(
        "session_metadata_quarantine",
        _required("session_id", _text_key(255)),
        _required("schema_version", sa.Integer()),
        _required("lock_version", sa.Integer()),
        sa.Column("realm", _text_key(255)),
        _required("step", _text_key(32)),
        _required("error_class", _text_key(64)),
        _required("message", _PAYLOAD),
        _required("payload_sha256", _text_key(64)),
        _required("attempts", sa.Integer()),
        _required("first_seen_at", _MOMENT),
        _required("last_seen_at", _MOMENT),
        sa.PrimaryKeyConstraint("session_id", name="pk_session_metadata_quarantine"),
        if_not_exists=again,
    )


def downgrade() -> None:
    op.drop_table("session_metadata_quarantine")
    op.drop_table("session_metadata_archive")
    op.drop_table("session_metadata")
