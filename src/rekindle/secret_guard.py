"""
What looks like credential material in a document about to be written.

Two things tell. A *value* in the format of a known kind of key tells wherever it stands: in a field, under a key nobody
knows, as a key itself, or in JSON text inside a string. A *key* such as `api_key` or `authorization` tells of any
string under it, so that no threshold of randomness has to be tuned; a reference to a secret (`env:NAME`, `${NAME}`,
`vault://path`) or a mask (`***`) is not material, and passes.

A guard is a callable, and widening it is composing it:

    def guard(document):
        return find_secret(document) or find_employee_number(document)

Pure: no database, no models. The formats are facts from the vendors' documentation; why none of the published
detectors is used is told in docs/decisions.md.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from enum import Enum
from typing import Any, NamedTuple, TypeAlias

from rekindle.secret_formats import MIN_LENGTH, compiled, is_reference, material


class SecretFinding(NamedTuple):
    """Where credential material stands and what it looks like. Never the material."""

    path: str
    """Dotted, list positions as numbers: `provider_params.headers.authorization`; ends in `<key>` for a key itself."""
    kind: str
    """A short noun phrase: `an OpenAI API key`, `a value under the key 'api_key'`."""


SecretGuard: TypeAlias = Callable[[Any], SecretFinding | None]
"""What a repository asks before it writes: the first finding in document order, None for a clean document."""


# --- The keys that tell ---------------------------------------------------------------------------------------------


class _Role(Enum):
    """What a key says about the strings under it."""

    PLAIN = "nothing"
    TELLS = "each of them is material"
    DESCRIBES = "they are about a secret: its name, its type, where it is kept"
    IS_MATERIAL = "the key itself is material"


_TELLING = re.compile(
    r"""
    (?: password | passwd | passphrase | passcode | secret | credential | authorization | cookie | bearer | jwt
      | (?:api|secret|private|access|account|auth|master|shared|signing|encryption|subscription|application)key
      | (?:access|refresh|auth|api|bearer|session)token
      | basicauth | authheader | authorizationheader | connectionstring | connstr | sharedaccesssignature
    )s? (?:value|string|raw|plain|old|new|prod|live|dev)? \d* $
    | token (?:value|string|raw|plain|old|new|prod|live|dev)? \d* $    # tokens, in the plural, are what models count
    | (?:db|user|admin|root|smtp|proxy|mysql)(?:pass|pwd) $            # alone: a step, and the working directory
    """,
    re.VERBOSE,
)
# A place in a list, a marker of a vocabulary and the version of a row are tokens too.
_BENIGN = re.compile(
    r"(?:^|_)(?:page|next|prev|previous|continuation|resume|sync|cursor|start|end|cas|change|fencing|lease|cancellation"
    r"|pad|eos|bos|unk|sep|cls|mask|stop|special|first|last|max|min|per|input|output|prompt|completion|image|audio"
    r"|design)_?token$"
)
_DESCRIBING = re.compile(
    r"(?:name|ref|reference|type|kind|policy|endpoint|url|uri|env|envvar|path|file|description|title|format|pattern|enum"
    r"|required|source|provider|scope|status|mode|location|binding|realm|profile|origin|clientid|keyid|^id)s?$"
)
_BETWEEN_WORDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|[-. :/]+")
_TAIL = 64
"""In `openai_api_key` the last word says what it is, so no more than the tail of a long key is looked at."""

_KNOWN_KEYS: dict[str, _Role] = {}
_HARMLESS_KEYS: set[str] = set()
_KNOWN_KEYS_LIMIT = 4096


def _role_of(key: str) -> _Role:
    """Classify a key, and remember it: documents share theirs. A key that is material is never remembered."""
    if len(key) >= MIN_LENGTH and material(key) is not None:
        return _Role.IS_MATERIAL
    words = _BETWEEN_WORDS.sub("_", key[-_TAIL:].strip()).lower()
    compact = words.replace("_", "")
    role = _Role.PLAIN
    if _DESCRIBING.search(compact):
        role = _Role.DESCRIBES
    elif _TELLING.search(compact) and not _BENIGN.search(words):
        role = _Role.TELLS
    if len(key) <= _TAIL:
        if len(_KNOWN_KEYS) >= _KNOWN_KEYS_LIMIT:
            _KNOWN_KEYS.clear()
            _HARMLESS_KEYS.clear()
        _KNOWN_KEYS[key] = role
        if role is not _Role.TELLS:
            _HARMLESS_KEYS.add(key)
    return role


# --- The walk -------------------------------------------------------------------------------------------------------

_EMBEDDED_LEVELS = 4
_EMBEDDED_LIMIT = 256 * 1024
"""To parse and walk a text costs six times its scan for formats, on the path of every save."""
_OPENERS = '{["' + " \t\r\n"
_CONTAINERS = (dict, list, tuple)
_PLAIN = _Role.PLAIN
_ROOT = "$"
_KEY_PLACE = "<key>"
_Frame: TypeAlias = tuple[Iterator[tuple[Any, Any]], str | None, int]
"""An open container: what is left of it, the key above it that tells, how many levels of JSON text deep it lies."""


class _Members(list[tuple[str, Any]]):
    """A JSON object parsed from text, with the members a dict would drop: an overwritten one is still stored."""


def _embedded(text: str, level: int) -> Any:
    """The container a string holds as JSON text, also when quoted more than once, else None."""
    parsed: Any = text
    while isinstance(parsed, str) and level < _EMBEDDED_LEVELS:
        if len(parsed) > _EMBEDDED_LIMIT or parsed.lstrip()[:1] not in ("{", "[", '"'):
            return None
        try:
            # Numbers are of no interest, and an int of 5,000 digits would be refused.
            parsed = json.loads(parsed, object_pairs_hook=_Members, parse_int=float)
        except (ValueError, RecursionError):
            return None
        level += 1
    return None if isinstance(parsed, str) else parsed


def _opened(container: Any, telling: str | None, level: int) -> _Frame:
    """Begin with a container. In `{"name": "API_KEY", "value": ...}`, as headers are listed, the name is the key."""
    if isinstance(container, dict):
        if "value" in container:
            telling = _told_by_name(container, telling)
        return iter(container.items()), telling, level
    if isinstance(container, _Members):
        return iter(container), _told_by_name(dict(container), telling), level
    return enumerate(container), telling, level


def _told_by_name(members: dict[Any, Any], telling: str | None) -> str | None:
    name = members.get("name") if "value" in members else None
    return name if isinstance(name, str) and _role_of(name) is _Role.TELLS else telling


def _segment(key: object) -> str:
    """A key as part of a path: short, on one line, printable everywhere."""
    text = str(key)
    text = text if len(text) <= _TAIL else f"{text[:_TAIL]}…"
    return text if text.isprintable() else ascii(text)[1:-1]


def _finding(trail: list[Any], key: object, kind: str) -> SecretFinding:
    return SecretFinding(".".join(map(_segment, (*trail, key)[1:])) or _ROOT, kind)


def _suspect(text: str, telling: str | None) -> str | None:
    """What a string is taken for, given the key that tells of it, if one does."""
    kind = material(text) if len(text) >= MIN_LENGTH else None
    if kind is None and telling is not None and text.strip() and not is_reference(text):
        return f"a value under the key {_segment(telling)!r}"
    return kind


def _is_clean(document: Any) -> bool:
    """Whether no key and no text of a document needs a closer look, as is so of nearly all: in half of the time."""
    is_suspect = compiled()[0].search
    pending = [document]
    while pending:
        container = pending.pop()
        values = container
        if isinstance(container, dict):
            values = container.values()
            if not _HARMLESS_KEYS.issuperset(container) and not all(map(_is_harmless, container)):
                return False
            if "value" in container and _told_by_name(container, None) is not None:
                return False
        for value in values:
            if isinstance(value, str):
                if len(value) >= MIN_LENGTH and (value[0] in _OPENERS or is_suspect(value) is not None):
                    return False
            elif isinstance(value, _CONTAINERS):
                pending.append(value)
    return True


def _is_harmless(key: object) -> bool:
    return not isinstance(key, str) or _role_of(key) not in {_Role.TELLS, _Role.IS_MATERIAL}


def find_secret(document: Any) -> SecretFinding | None:
    """
    Return the first credential material in a document of JSON values, in document order, or None.

    Iterative, so that no depth of nesting stops it; what hides below four levels of JSON text in JSON text, or in one
    that does not parse, is found by its format alone.
    """
    return None if isinstance(document, _CONTAINERS) and _is_clean(document) else _first_in(document)


def _first_in(document: Any) -> SecretFinding | None:
    trail: list[Any] = []
    frames: list[_Frame] = [(iter(((_ROOT, document),)), None, 0)]
    while frames:
        items, inherited, level = frames[-1]
        for key, value in items:
            telling = inherited
            if isinstance(key, str):
                role = _KNOWN_KEYS.get(key) or _role_of(key)
                if role is not _PLAIN:
                    if role is _Role.IS_MATERIAL:
                        return _finding(trail, _KEY_PLACE, f"{material(key)} used as a key")
                    telling = key if role is _Role.TELLS else None
            if isinstance(value, str):
                if telling is None and len(value) < MIN_LENGTH:
                    continue
                inside, depth = _embedded(value, level), level + 1
                kind = _suspect(value, telling) if inside is None or telling is not None else None
                if kind is not None:
                    return _finding(trail, key, kind)
            else:
                inside, depth = value, level
            if isinstance(inside, _CONTAINERS):
                trail.append(key)
                frames.append(_opened(inside, telling, depth))
                break
        else:
            frames.pop()
            del trail[-1:]
    return None
