"""
What can go wrong, as types.

    RekindleError
    ├── SessionNotFoundError (LookupError)   no such session, or not in this realm
    ├── SessionExistsError                   the id is taken
    ├── StaleSessionError                    somebody else saved first
    ├── OutcomeUnknownError                  the answer to a write was lost, and the row cannot tell any more
    ├── ArchiveEntryNotFoundError (LookupError)  the archive keeps no such original
    ├── SchemaError                          about the document in one row
    │   ├── NewerSchemaError                 written by a later release
    │   ├── UpcastError                      a step failed: a defect in rekindle, not in the row
    │   └── InvalidPayloadError              not a session-metadata document
    ├── SecretMaterialError                  the document carries what looks like a credential
    ├── LlmOverrideError (ValueError)         a turn asks for a model, provider or server that do not fit together
    ├── RealmMismatchError                   the document belongs to another realm than the store
    ├── InvalidSessionIdError (ValueError)   not usable as a session id on every database
    ├── ImportSourceError                    the thing to import cannot be read
    ├── HistoryError                         the schema versions are no chain: a defect of the release
    ├── DatabaseRevisionError                the tables are behind or ahead of the code
    ├── DatabaseUnavailableError             cannot be opened, reached or locked in time
    ├── UnsupportedDatabaseError             not SQLite, PostgreSQL or MariaDB
    └── of backfill and verify               in rekindle.backfill.errors

Every message ends with what to do next, and none carries a value of a document, a password or a URL with a password in
it. The attributes are the interface; the wording is not.
"""

from __future__ import annotations

from shlex import quote
from typing import NamedTuple


class RekindleError(Exception):
    """Base of everything rekindle raises on purpose. Never raised itself."""


class SessionNotFoundError(RekindleError, LookupError):
    """No session with this id exists, or it belongs to another realm than the one the repository was opened for."""

    def __init__(self, session_id: str, realm: str | None = None) -> None:
        super().__init__(session_id, realm)
        self.session_id = session_id
        self.realm = realm

    def __str__(self) -> str:
        where = "" if self.realm is None else f" in realm {self.realm!r}"
        return f"no session {self.session_id!r}{where}; list the sessions that exist with `rekindle list`"


class SessionExistsError(RekindleError):
    """The session id is taken. Ids are unique over all realms."""

    def __init__(self, session_id: str) -> None:
        super().__init__(session_id)
        self.session_id = session_id

    def __str__(self) -> str:
        return f"session {self.session_id!r} already exists; load() and save() it, or choose another id"


class StaleSessionError(RekindleError):
    """
    Somebody else saved the session between this load and this save; nothing was written.

    `expected_lock_version` is the one the save relied on, `found_lock_version` the one in the database.
    """

    def __init__(self, session_id: str, expected_lock_version: int, found_lock_version: int) -> None:
        super().__init__(session_id, expected_lock_version, found_lock_version)
        self.session_id = session_id
        self.expected_lock_version = expected_lock_version
        self.found_lock_version = found_lock_version

    def __str__(self) -> str:
        return (
            f"session {self.session_id!r} is at lock version {self.found_lock_version}, this save was based on "
            f"{self.expected_lock_version}, and nothing was written; load it again and repeat the change, "
            "or use update(), which does both"
        )


class OutcomeUnknownError(RekindleError):
    """
    The connection was lost before a write was answered, and somebody else has written the session since.

    Had nobody, reading the row back would have told whether the write arrived. It was not repeated.
    """

    def __init__(self, session_id: str) -> None:
        super().__init__(session_id)
        self.session_id = session_id

    def __str__(self) -> str:
        return (
            f"the connection was lost while session {self.session_id!r} was being written, somebody else has written "
            "it since, and whether this write came before that cannot be told; load it and see what it says"
        )


class ArchiveEntryNotFoundError(RekindleError, LookupError):
    """
    The archive keeps no original of this session, or not the one asked for.

    `lock_version` and `schema_version` are those asked for, None where any would have done.
    """

    def __init__(self, session_id: str, lock_version: int | None = None, schema_version: int | None = None) -> None:
        super().__init__(session_id, lock_version, schema_version)
        self.session_id = session_id
        self.lock_version = lock_version
        self.schema_version = schema_version

    def __str__(self) -> str:
        asked = (("lock version", self.lock_version), ("schema version", self.schema_version))
        which = " and ".join(f"{name} {number}" for name, number in asked if number is not None)
        what = f"nothing of {which}" if which else "no original from before its schema version"
        return (
            f"the archive keeps {what} for session {self.session_id!r}; "
            f"see what it keeps with `rekindle archive list {self.session_id}`"
        )


class SchemaError(RekindleError):
    """
    About the document of one row. The row itself is untouched.

    `session_id` is None when a bare document was upcast, outside of any table.
    """

    session_id: str | None = None

    def _subject(self) -> str:
        return "the document" if self.session_id is None else f"session {self.session_id!r}"


class NewerSchemaError(SchemaError):
    """The document was written by a later release than this one, which can neither read nor overwrite it."""

    def __init__(self, schema_version: int, supported: int, session_id: str | None = None) -> None:
        super().__init__(schema_version, supported, session_id)
        self.schema_version = schema_version
        self.supported = supported
        self.session_id = session_id

    def __str__(self) -> str:
        return (
            f"{self._subject()} is at schema version {self.schema_version}, this release reads up to "
            f"{self.supported}, and nothing was changed; upgrade rekindle in this process"
        )


class UpcastError(SchemaError):
    """A step of the chain failed on this document. A step that cannot cope with stored data is a defect in the step."""

    def __init__(self, from_version: int, to_version: int, reason: str, session_id: str | None = None) -> None:
        super().__init__(from_version, to_version, reason, session_id)
        self.from_version = from_version
        self.to_version = to_version
        self.reason = reason
        self.session_id = session_id

    def __str__(self) -> str:
        return (
            f"{self._subject()} could not be taken from schema version {self.from_version} to {self.to_version} "
            f"({self.reason}); the row is untouched, report this as a bug of the step"
        )


class Problem(NamedTuple):
    """One thing wrong with a document: where, and what. Never the value."""

    path: str
    reason: str


class InvalidPayloadError(SchemaError):
    """
    Not a session-metadata document: not JSON, a required field missing, a value of the wrong type.

    `problems` names every one that was found, by dotted path.
    """

    def __init__(self, problems: tuple[Problem, ...], session_id: str | None = None) -> None:
        super().__init__(problems, session_id)
        self.problems = problems
        self.session_id = session_id

    def __str__(self) -> str:
        shown = "; ".join(f"{path or 'document'}: {reason}" for path, reason in self.problems[:5])
        more = len(self.problems) - 5
        tail = f"; and {more} more" if more > 0 else ""
        remedy = (
            "correct it and try again"
            if self.session_id is None
            else (f"the row is untouched, see it with `rekindle show {quote(self.session_id)} --stored`")
        )
        return f"{self._subject()} is not valid session metadata ({shown}{tail}); {remedy}"


class HistoryError(RekindleError):
    """
    The modules of the schema versions are not one chain, so that some row could not be read.

    `problems` says all that is wrong, each with its remedy. Raised on import, or by `rekindle schema new` and `freeze`.
    """

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__(problems)
        self.problems = problems

    def __str__(self) -> str:
        return "\n".join(self.problems)


class SecretMaterialError(RekindleError):
    """
    The document carries what looks like a credential, and was not written.

    `path` says where; the value is in neither the message nor the attributes.
    """

    def __init__(self, path: str, kind: str, session_id: str | None = None) -> None:
        super().__init__(path, kind, session_id)
        self.path = path
        self.kind = kind
        self.session_id = session_id

    def __str__(self) -> str:
        subject = "the document" if self.session_id is None else f"session {self.session_id!r}"
        return (
            f"{subject} carries what looks like a credential ({self.kind}) at {self.path}, and nothing was written; "
            "keep it in your secret store and put a reference in auth_binding"
        )


class LlmOverrideError(RekindleError, ValueError):
    """A turn's override of the LLM identity contradicts itself or the model catalogue."""

    def __init__(self, field: str, reason: str, remedy: str) -> None:
        super().__init__(field, reason, remedy)
        self.field = field
        self.reason = reason
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.reason}; {self.remedy}"


class RealmMismatchError(RekindleError):
    """A document of one realm was given to a repository opened for another; nothing was written."""

    def __init__(self, session_id: str, realm: str, document_realm: str | None) -> None:
        super().__init__(session_id, realm, document_realm)
        self.session_id = session_id
        self.realm = realm
        self.document_realm = document_realm

    def __str__(self) -> str:
        return (
            f"session {self.session_id!r} has realm_id {self.document_realm!r}, this repository is opened for realm "
            f"{self.realm!r}, and nothing was written; set realm_id, or open a repository for that realm"
        )


class InvalidSessionIdError(RekindleError, ValueError):
    """Not usable as a session id on every database."""

    def __init__(self, session_id: object, reason: str) -> None:
        super().__init__(session_id, reason)
        self.session_id = session_id
        self.reason = reason

    def __str__(self) -> str:
        shown = f"{self.session_id!a:.60}"
        return f"{shown} is not a session id: {self.reason}; use 1 to 255 characters of text without NUL"


class ImportSourceError(RekindleError):
    """The thing to import cannot be read; nothing was imported from it."""

    def __init__(self, source: str, reason: str, remedy: str) -> None:
        super().__init__(source, reason, remedy)
        self.source = source
        self.reason = reason
        self.remedy = remedy

    def __str__(self) -> str:
        return f"cannot import from {self.source}: {self.reason}; {self.remedy}"


class DatabaseRevisionError(RekindleError):
    """
    The tables are behind or ahead of the code.

    `found` is the database revision (None when rekindle's tables are not there at all), `expected` the one that this
    release works with.
    """

    def __init__(self, url: str, found: str | None, expected: str) -> None:
        super().__init__(url, found, expected)
        self.url = url
        self.found = found
        self.expected = expected

    @property
    def is_ahead(self) -> bool:
        """Whether a later release has upgraded the tables."""
        return self.found is not None and self.found > self.expected

    def __str__(self) -> str:
        if self.is_ahead:
            return (
                f"the tables in {self.url} are at database revision {self.found}, this release works with "
                f"{self.expected}; upgrade rekindle in this process"
            )
        found = "hold no rekindle tables" if self.found is None else f"are at database revision {self.found}"
        return (
            f"the tables in {self.url} {found}, this release works with {self.expected}; "
            f"run `rekindle db upgrade --url {self.url}`"
        )


class DatabaseUnavailableError(RekindleError):
    """The database cannot be opened, reached, or locked in time. `url` has no password in it."""

    def __init__(self, url: str, reason: str, remedy: str) -> None:
        super().__init__(url, reason, remedy)
        self.url = url
        self.reason = reason
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.url}: {self.reason}; {self.remedy}"


class UnsupportedDatabaseError(RekindleError):
    """Neither SQLite, PostgreSQL nor MariaDB, or a version of one of them that lacks what rekindle relies on."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(url, reason)
        self.url = url
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.url}: {self.reason}; use SQLite, PostgreSQL 13 or MariaDB 10.6, or later"


class InvalidCursorError(RekindleError, ValueError):
    """Not a cursor that list() gave out."""

    def __init__(self, cursor: str) -> None:
        super().__init__(cursor)
        self.cursor = cursor

    def __str__(self) -> str:
        return "the cursor is not one that list() gave out; start again without `after`"


class WriteVersionError(RekindleError, ValueError):
    """A schema version to write that this release cannot write; it writes `lowest` to `current`."""

    def __init__(self, write_version: object, lowest: int, current: int) -> None:
        super().__init__(write_version, lowest, current)
        self.write_version = write_version
        self.lowest = lowest
        self.current = current

    def __str__(self) -> str:
        return (
            f"schema version {self.write_version!r} cannot be written by this release; "
            f"set write_version or REKINDLE_WRITE_VERSION to one of {self.lowest} to {self.current}"
        )
