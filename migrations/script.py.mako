"""
${message}

House rules of a revision:

- Import nothing of rekindle: the code moves on, a released revision never does.
- Touch tables, never documents: those are taken to the current schema version on load, and by `rekindle backfill`.
- The release before this one still runs while this does: add now, remove a release later.
- Hold no lock for long: on PostgreSQL build indexes CONCURRENTLY, in an autocommit block.
- On MariaDB each statement commits by itself: a revision that is run again after a crash must go through.
- Primary keys and unique indexes begin with session_id; nothing draws on a sequence.
- Raise rekindle.orm.DATABASE_REVISION to this revision in the same commit.
"""

from alembic import op
import sqlalchemy as sa
${imports if imports else ""}

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = ${repr(branch_labels)}
depends_on = ${repr(depends_on)}


def upgrade() -> None:
    ${upgrades if upgrades else "pass"}


def downgrade() -> None:
    ${downgrades if downgrades else "pass"}
