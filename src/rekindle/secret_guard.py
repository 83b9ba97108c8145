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

import base64
import json
import re
from collections.abc import Callable, Iterator
from enum import Enum
from functools import cache
from typing import Any, NamedTuple, TypeAlias


class SecretFinding(NamedTuple):
    """Where credential material stands and what it looks like. Never the material."""

    path: str
    """Dotted, list positions as numbers: `provider_params.headers.authorization`; ends in `<key>` for a key itself."""
    kind: str
    """A short noun phrase: `an OpenAI API key`, `a value under the key 'api_key'`."""


SecretGuard: TypeAlias = Callable[[Any], SecretFinding | None]
"""What a repository asks before it writes: the first finding in document order, None for a clean document."""


# --- Confirming what a pattern can only suspect ---------------------------------------------------------------------

_REFERENCE_LIMIT = 512
_REFERENCE = re.compile(
    r"""
    (?:(?i:bearer|basic|token|apikey)\s+)?                      # the scheme of a header may stand before it
    (?:
      [*•.…xX#-]{3,}                                            # a mask
    | [\[(<{*]*(?i:redacted|masked|hidden|filtered|removed|omitted)[\])>}*]*
    | <[A-Za-z][\w .-]*>                                        # <your api key>
    | \$?\{{1,2}\s*[A-Za-z_][\w./-]*\s*\}{1,2}                  # ${NAME}, ${{ secrets.NAME }}, {name}, {{ name }}
    | \$[A-Z][A-Z0-9]*_[A-Z0-9_]+                               # $OPENAI_API_KEY; one word could be a password
    | %[A-Z_][A-Z0-9_]*%
    | (?i:env|file|vault|ref|keyring|keychain|secretref):[\w./\#:-]+
    | (?!https?:)[A-Za-z][A-Za-z0-9+.-]*://(?:[^\s:/?\#@]*@)?[^\s@]*    # a place, with no password before it
    | arn:aws[\w-]*:(?:secretsmanager|ssm):[\w./:-]+
    | projects/[\w-]+/secrets/[\w./-]+
    | (?:~|\.{1,2})?/[\w./-]+\.(?:json|pem|key|crt|p12|pfx|ya?ml|toml|env|txt)
    )
    """,
    re.VERBOSE | re.ASCII,
)
_RUNS = re.compile(r"[A-Za-z0-9]{10,}")
_LONGER_THAN_A_WORD = 24
_SWITCHES = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Za-z])(?=[0-9])|(?<=[0-9])(?=[A-Za-z])")
_MORE_THAN_A_NAME = 5


def _is_reference(text: str) -> bool:
    """Whether the text names or masks a secret instead of being one."""
    return len(text) <= _REFERENCE_LIMIT and _REFERENCE.fullmatch(text.strip()) is not None


def _is_random(text: str) -> bool:
    """Whether it looks generated and not, like the voice `sk-SK-Chirp3-HD-Achernar`, made of words and numbers."""
    runs = _RUNS.findall(text)
    return (
        any(len(run) >= _LONGER_THAN_A_WORD or not (run.isalpha() or run.isdigit()) for run in runs)
        or len(_SWITCHES.findall(text)) >= _MORE_THAN_A_NAME
    )


def _is_generated(text: str) -> bool:
    """Whether it is no prose, where the context already says token: in a sentence, no digit follows `bearer`."""
    return not _is_reference(text) and (any("0" <= character <= "9" for character in text) or _is_random(text))


def _is_password(text: str) -> bool:
    """Whether what stands between `user:` and `@` is the password itself."""
    return not _is_reference(text)


def _decode(part: str) -> bytes:
    return base64.b64decode(part.replace("-", "+").replace("_", "/") + "=" * (-len(part) % 4), validate=True)


def _is_basic(text: str) -> bool:
    """Whether it decodes to `user:password`, which a word after `basic` does not."""
    try:
        pair = _decode(text.rstrip("=")).decode()
    except ValueError:
        return False
    return ":" in pair and pair.isprintable()


def _is_jwt(text: str) -> bool:
    """Whether header, less the prefix it was found by, and payload decode to JSON objects."""
    header, payload, _ = text.split(".")
    try:
        return all(isinstance(json.loads(_decode(part)), dict) for part in (f"eyJ{header}", payload))
    except (ValueError, RecursionError):
        return False


# --- The formats ----------------------------------------------------------------------------------------------------


class _Format(NamedTuple):
    """
    One kind of credential: a prefix, and behind it a body whose one group is the material.

    Every body is bounded, or starts at most once in a run of its own characters: the scan is linear on any input.
    """

    kind: str
    prefixes: tuple[str, ...]
    body: str
    confirm: Callable[[str], bool] | None = None
    not_after: str = "[A-Za-z0-9]"


_ASSIGNED = (
    "password= passwd= ;pwd= api_key= api-key= apikey= secret= secret_key= access_key= access_token= auth_token="
)
_FORMATS = (
    _Format("an Anthropic API key", ("sk-ant-",), r"([\w-]{16,256})", _is_random),
    _Format("an OpenAI API key", ("sk-",), r"(?!ant-)([\w-]{16,256})", _is_random),
    _Format("a Google API key", ("AI",), r"(za[\w-]{35})"),
    _Format("a Google API key", ("AQ.",), r"([\w-]{30,256})", _is_random),
    _Format("a Google OAuth token", ("ya29.",), r"([\w-]{20,256})"),
    _Format("a Google OAuth client secret", ("GOCSPX-",), r"([\w-]{20,64})"),
    _Format("an AWS access key id", ("AKIA", "ASIA", "ABIA", "ACCA"), r"([A-Z0-9]{16})(?![A-Za-z0-9])"),
    _Format("an Amazon Bedrock API key", ("ABSK", "bedrock-api-key-"), r"([A-Za-z0-9+/=]{40,256})", None, r"[\w+/-]"),
    _Format("an Azure account key", ("AccountKey=", "SharedAccessKey="), r"([\w+/%-]{20,256})", None, ""),
    _Format("an Azure shared access signature", ("?sig=", "&sig=", ";sig="), r"([\w+/%-]{20,256})", None, ""),
    _Format("a GitHub token", ("ghp_", "gho_", "ghu_", "ghs_", "ghr_"), r"([\w.]{30,256})"),
    _Format("a GitHub token", ("github_pat_",), r"(\w{30,256})"),
    _Format("a GitLab token", ("glpat-", "gldt-", "glrt-", "glptt-", "glcbt-", "gloas-"), r"([\w-]{20,256})"),
    _Format("a Slack token", tuple(f"xox{c}-" for c in "abcdeoprs"), r"([\w%-]{10,256})", _is_generated),
    _Format("a Slack token", ("xapp-",), r"(\d-[\w-]{16,256})"),
    _Format("a Slack webhook URL", (".slack.",), r"com/((?:services|workflows|triggers)/[\w/]{20,256})", None, ""),
    _Format("a Stripe API key", ("sk_live_", "sk_test_", "rk_live_", "rk_test_"), r"([A-Za-z0-9]{16,256})"),
    _Format("a SendGrid API key", ("SG.",), r"([\w-]{16,64}\.[\w-]{16,128})", _is_random),
    _Format("an npm token", ("npm_",), r"([A-Za-z0-9]{36})"),
    _Format("a PyPI token", ("pypi-",), r"([\w-]{40,512})", _is_random),
    _Format("a Hugging Face token", ("hf_",), r"([A-Za-z0-9]{30,64})"),
    _Format("a Groq API key", ("gsk_",), r"([A-Za-z0-9]{40,128})"),
    _Format("an xAI API key", ("xai-",), r"([\w-]{40,256})", _is_random),
    _Format("a Replicate API token", ("r8_",), r"([A-Za-z0-9]{32,64})"),
    _Format("a private key block", ("-BEGIN", "- BEGIN"), r" ((?:[A-Z0-9]{1,16} ){0,3}PRIVATE KEY)", None, ""),
    # No upper bound here, so it must not start twice in one run: hence `-` may not stand before it either. The
    # look-ahead consumes nothing, so what only resembles a header cannot hide the token that starts behind its dot.
    _Format("a JSON Web Token", ("eyJ",), r"(?=([\w-]{8,}+\.[\w-]{2,}+\.[\w-]*))", _is_jwt, r"[\w-]"),
    # The look-ahead tells a port and a list of hosts from a password; the last one, a digest behind an image's tag.
    _Format(
        "a URL with a password",
        (":",),
        r"//[^\s/?#:@\[\]]{0,256}+:(?!\d{0,5}(?:[/?#,]|$))([^\s@]{1,256}+)@(?!sha\d)",
        _is_password,
        "",
    ),
    _Format("a bearer token", ("B", "b"), r"(?:earer|EARER)(?:\s|%20|\+){1,4}([\w.~+/=%-]{10,512})", _is_generated),
    _Format("a basic-auth header", ("B", "b"), r"(?:asic|ASIC)(?:\s|%20|\+){1,4}([\w+/-]{4,512}={0,2})", _is_basic),
    _Format("a credential assigned in text", tuple(_ASSIGNED.split()), r"([^\s&;,\"'<>]{6,256})", _is_generated, ""),
)
_MIN_LENGTH = len("s://:p@h")
"""The shortest text that can match a format. A shorter string is material only under a telling key."""


def _branch(anchor: str, alternatives: list[tuple[str, _Format]]) -> str:
    """The part of the pattern for the prefixes that end in one character, and do so behind one of a few others."""
    flag = "(?i:" if anchor == "=" else "(?:"  # the name of a parameter comes in any case
    behind = {prefix[-2:-1] for prefix, _ in alternatives}
    bodies = (
        f"{flag}(?<={re.escape(prefix)}){f'(?<!{entry.not_after}{re.escape(prefix)})' if entry.not_after else ''})"
        f"{entry.body}"
        for prefix, entry in alternatives
    )
    some = "" if "" in behind else f"{flag}(?<=[{re.escape(''.join(sorted(behind)))}]{re.escape(anchor)}))"
    return f"{re.escape(anchor)}{some}(?:{'|'.join(bodies)})"


@cache
def _compiled() -> tuple[re.Pattern[str], tuple[_Format, ...]]:
    """
    One pattern for all formats, and the format behind each of its groups; compiled for the first write, not on import.

    A prefix is looked for at its last character and checked by looking back: `-`, `_`, `.` and `=` are rare where first
    letters such as `s` and `g` are not, and the engine skips what cannot start an alternative. Measured: five times
    faster than the same patterns written forwards.
    """
    by_anchor: dict[str, list[tuple[str, _Format]]] = {}
    for entry in _FORMATS:
        for prefix in entry.prefixes:
            by_anchor.setdefault(prefix[-1], []).append((prefix, entry))
    owners = tuple(entry for alternatives in by_anchor.values() for _, entry in alternatives)
    return re.compile("|".join(_branch(*item) for item in by_anchor.items()), re.ASCII), owners


def _material(text: str) -> str | None:
    """The kind of the first credential in a text, None when there is none."""
    pattern, owners = _compiled()
    for match in pattern.finditer(text):
        index = match.lastindex or 0
        entry = owners[index - 1]
        if entry.confirm is None or entry.confirm(match[index]):
            return entry.kind
    return None


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
    if len(key) >= _MIN_LENGTH and _material(key) is not None:
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
    kind = _material(text) if len(text) >= _MIN_LENGTH else None
    if kind is None and telling is not None and text.strip() and not _is_reference(text):
        return f"a value under the key {_segment(telling)!r}"
    return kind


def _is_clean(document: Any) -> bool:
    """Whether no key and no text of a document needs a closer look, as is so of nearly all: in half of the time."""
    is_suspect = _compiled()[0].search
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
                if len(value) >= _MIN_LENGTH and (value[0] in _OPENERS or is_suspect(value) is not None):
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
    if isinstance(document, _CONTAINERS) and _is_clean(document):
        return None
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
                        return _finding(trail, _KEY_PLACE, f"{_material(key)} used as a key")
                    telling = key if role is _Role.TELLS else None
            if isinstance(value, str):
                if telling is None and len(value) < _MIN_LENGTH:
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
