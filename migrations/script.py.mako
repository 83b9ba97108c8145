<%!
    def quoted(value):
        return repr(value).replace("'", '"')
%>\
"""
${message}

House rules of a revision:

- Import nothing of rekindle: the code moves on, a released revision never does.
- Touch tables, never documents: those are taken to the current schema version on load, and by `rekindle backfill`.
- The release before this one still runs while this does: add now, remove a release later.
- Hold no lock for long: on PostgreSQL build indexes CONCURRENTLY, in an autocommit block, after `SET lock_timeout = 0`,
  because they wait for old transactions to end; and drop what a run that was cut short left INVALID.
- On MariaDB each statement commits by itself: a revision that is run again after a crash must go through.
- Primary keys and unique indexes begin with session_id; nothing draws on a sequence.
- Raise rekindle.tables.DATABASE_REVISION to this revision in the same commit, and add the file's sha256 to
  tests/migrations/released.json with the release.

Replace all of this by what the revision is for.
"""

import sqlalchemy as sa
from alembic import op
% if imports:
${imports}
% endif

revision = ${quoted(up_revision)}
down_revision = ${quoted(down_revision)}
branch_labels = ${quoted(branch_labels)}
depends_on = ${quoted(depends_on)}


def upgrade() -> None:
    ${upgrades if upgrades else "pass"}


def downgrade() -> None:
    ${downgrades if downgrades else "pass"}
