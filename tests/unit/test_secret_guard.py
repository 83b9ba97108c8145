"""
What the secret guard refuses and what it lets pass, as two tables, and that both hold anywhere in a document.

Every credential here is made up, and put together when the tests run: no line of this file is one.
"""

import base64
import json
import random
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rekindle import secret_guard
from rekindle.secret_guard import SecretFinding, find_secret

ALPHANUMERIC = string.ascii_letters + string.digits
URL_SAFE = ALPHANUMERIC + "-_"
HEX = "0123456789abcdef"
FILL = "".join(random.Random(7).choices(ALPHANUMERIC, k=400))
HEX_FILL = "".join(random.Random(7).choices(HEX, k=64))
UUID = "00000000-0000-4b11-8111-000000000001"


def encoded(text):
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


JWT = ".".join((encoded('{"alg":"HS256","typ":"JWT"}'), encoded('{"sub":"alice"}'), FILL[:43]))
PEM_END = "PRIVATE KEY-----\n"

REFUSED = {
    "openai": ("an OpenAI API key", "sk-" + FILL[:48]),
    "openai, project": ("an OpenAI API key", "sk-proj-" + FILL[:70] + "_" + FILL[70:90] + "-" + FILL[90:150]),
    "openai, service account": ("an OpenAI API key", "sk-svcacct-" + FILL[:120]),
    "openai, one letter repeated": ("an OpenAI API key", "sk-" + "a" * 48),
    "openrouter": ("an OpenAI API key", "sk-or-v1-" + HEX_FILL),
    "deepseek": ("an OpenAI API key", "sk-" + HEX_FILL[:32]),
    "gateway": ("an OpenAI API key", "sk-" + "aB-cD_eF4gHiJ-kLm5nOp6"),
    "anthropic": ("an Anthropic API key", "sk-ant-" + "api03-" + FILL[:93] + "AA"),
    "anthropic, oauth": ("an Anthropic API key", "sk-ant-" + "oat01-" + FILL[:93] + "AA"),
    "google": ("a Google API key", "AIza" + FILL[:35]),
    "google, bound to a service account": ("a Google API key", "AQ." + "Ab8" + FILL[:47]),
    "google, oauth": ("a Google OAuth token", "ya29." + FILL[:120]),
    "google, client secret": ("a Google OAuth client secret", "GOCSPX-" + FILL[:28]),
    "aws": ("an AWS access key id", "AKIA" + FILL[:16].upper()),
    "aws, temporary": ("an AWS access key id", "ASIA" + FILL[:16].upper()),
    "bedrock": ("an Amazon Bedrock API key", "ABSK" + FILL[:128]),
    "azure": ("an Azure account key", "AccountName=a;AccountKey=" + FILL[:86] + "==;EndpointSuffix=b"),
    "azure, bus": ("an Azure account key", "Endpoint=sb://a/;SharedAccessKey=" + FILL[:43] + "="),
    "azure, signature": ("an Azure shared access signature", "https://a.example/b?sv=1&sig=" + FILL[:43] + "%3D"),
    "github": ("a GitHub token", "ghp_" + FILL[:36]),
    "github, oauth": ("a GitHub token", "gho_" + FILL[:36]),
    "github, refresh": ("a GitHub token", "ghr_" + FILL[:36]),
    "github, stateless installation": ("a GitHub token", "ghs_" + "123456_" + JWT),
    "github, fine-grained": ("a GitHub token", "github_pat_" + FILL[:22] + "_" + FILL[:59]),
    "gitlab": ("a GitLab token", "glpat-" + FILL[:20]),
    "gitlab, prefixed by the instance": ("a GitLab token", "ACME-glpat-" + FILL[:20]),
    "slack": ("a Slack token", "xoxb-" + "123456789012-" + FILL[:24]),
    "slack, app": ("a Slack token", "xapp-" + "1-A0-" + FILL[:40]),
    "slack, webhook": ("a Slack webhook URL", "https://hooks.slack.com/" + "services/T0/B0/" + FILL[:24]),
    "stripe": ("a Stripe API key", "sk_live_" + FILL[:24]),
    "sendgrid": ("a SendGrid API key", "SG." + FILL[:22] + "." + FILL[22:65]),
    "npm": ("an npm token", "npm_" + FILL[:36]),
    "pypi": ("a PyPI token", "pypi-" + "AgEIcHlwaS5vcmc" + FILL[:150]),
    "hugging face": ("a Hugging Face token", "hf_" + FILL[:34]),
    "groq": ("a Groq API key", "gsk_" + FILL[:52]),
    "xai": ("an xAI API key", "xai-" + FILL[:80]),
    "replicate": ("a Replicate API token", "r8_" + FILL[:37]),
    "jwt": ("a JSON Web Token", JWT),
    "jwt behind what resembles its header": ("a JSON Web Token", "eyJ" + "resembling." + JWT),
    "pem": ("a private key block", "-----BEGIN " + PEM_END + FILL),
    "pem, rsa": ("a private key block", "-----BEGIN RSA " + PEM_END),
    "pem, openssh": ("a private key block", "-----BEGIN OPENSSH " + PEM_END),
    "pem, encrypted": ("a private key block", "-----BEGIN ENCRYPTED " + PEM_END),
    "url": ("a URL with a password", "https://alice:" + "hunter" + "@example.org/x"),
    "url, driver": ("a URL with a password", "postgresql+psycopg://app:" + "hunter2" + "@db:5432/agents"),
    "url, no user": ("a URL with a password", "redis://:" + "hunter2" + "@cache:6379/0"),
    "url, raw slash in it": ("a URL with a password", "mariadb+pymysql://app:" + "hun/ter" + "@db/agents"),
    "url, only digits": ("a URL with a password", "https://alice:" + "123456" + "@example.org"),
    "bearer": ("a bearer token", "Bearer " + FILL[:24]),
    "bearer, in lower case": ("a bearer token", "bearer " + HEX_FILL[:32]),
    "bearer, uuid": ("a bearer token", "Bearer " + UUID),
    "basic": ("a basic-auth header", "Basic " + encoded("alice:hunter")),
    "query": ("a credential assigned in text", "https://example.org/v1?api_key=" + FILL[:20]),
    "connection string": ("a credential assigned in text", "Server=db;Database=a;Password=" + "hunter2;"),
    "environment": ("a credential assigned in text", "export AWS_SECRET_ACCESS_KEY=" + FILL[:40]),
}

PASSES = {
    "model": "gpt-5.2",
    "model, anthropic": "claude-opus-4-6",
    "model, dated": "claude-sonnet-4-5-20250929",
    "model, local": "hf.co/unsloth/Qwen3-30B-A3B-Instruct-2507-GGUF:Q4_K_M",
    "prefix alone": "sk-",
    "prefix and words": "sk-learn-pipeline-for-tabular-data",
    "voice": "sk-SK-Chirp3-HD-Achernar",
    "locale": "sk-SK",
    "skill": "skill-name-with-dashes",
    "task": "task-workflow",
    "word before the prefix": "ask-something-long-enough-to-look-like-one-2024",
    "prefixes of others alone": "ghp_, glpat-, xoxb- and AKIA are prefixes of keys",
    "greeting": "xoxo-hugs-and-kisses",
    "uuid": UUID,
    "ulid": "01ARZ3NDEKTSV4RRFFQ69G5FAV",
    "sha-1": HEX_FILL[:40],
    "sha-256": HEX_FILL,
    "sha-256, tagged": "sha256:" + HEX_FILL,
    "cas token": "head-sha256:" + HEX_FILL,
    "image": "data:image/png;base64," + base64.b64encode(random.Random(7).randbytes(600)).decode(),
    "image, untagged": base64.b64encode(random.Random(8).randbytes(600)).decode(),
    "cache key": "office/reviewer/alice",
    "realm": "mob.office",
    "url": "https://example.org:8443/v1/models?limit=100#top",
    "url, at sign in the path": "https://example.org:8080/@alice/repo@v2",
    "url, user alone": "ssh://git@example.org:22/repo.git",
    "url, ipv6": "http://[::1]:8080/@alice",
    "url, hosts": "mongodb://one:27017,two:27017/agents",
    "url, password masked": "postgresql://app:***@db/agents",
    "url, password referred to": "postgresql://app:${DB_PASSWORD}@db/agents",
    "image of a container": "docker://alpine:3.19@sha256:" + HEX_FILL,
    "email": "alice@example.org",
    "path": "/srv/agents/2026-01-02/session.jsonl",
    "path, windows": "C:\\Users\\alice\\agents\\session.jsonl",
    "time": "2026-01-02T03:04:05.678901+00:00",
    "sentence, bearer": "Bearer of bad news",
    "sentence, bearer and a long word": "bearer authentication-required",
    "sentence, basic": "Basic authentication, basic infrastructure",
    "sentence, policy": "the password policy is strict",
    "sentence, key": "use the api_key from auth_binding",
    "sentence, pem": "begins with -----BEGIN CERTIFICATE-----",
    "assignment of a reference": "OPENAI_API_KEY=${OPENAI_API_KEY_2} run",
    "assignment of a word": "password=required",
    "three parts": "eyJhbGciOiJIUzI1NiJ9.not-json-at-all.signature",
    "words behind a prefix, anthropic": "sk-ant-colony-optimization-of-routes",
    "words behind a prefix, google": "AQ.words-joined-by-hyphens-all-the-way-down",
    "words behind a prefix, sendgrid": "SG.some-module-name-here.and-another-one-below-it",
    "words behind a prefix, pypi": "pypi-a-package-with-a-name-that-simply-does-not-end",
    "words behind a prefix, xai": "xai-a-model-with-a-name-that-simply-does-not-end",
    "words": "basic, token, bearer, secret",
    "json": '{"max_tokens": 4096, "stop": ["secret", "token"]}',
    "json, cut off": '{"max_tokens": 40',
    "not json": "{name} says [hello",
}

TELLING_KEYS = (
    *(
        "api_key",
        "apikey",
        "apiKey",
        "API_KEY",
        "x-api-key",
        "X-Api-Key",
        "OPENAI_API_KEY",
        "openai.api.key",
        "api_keys",
    ),
    *("authorization", "Authorization", "proxy-authorization", "x-auth-token", "bearer", "basic_auth", "jwt", "cookie"),
    *(
        "password",
        "passwd",
        "db_password",
        "PGPASSWORD",
        "passphrase",
        "smtp_pass",
        "MYSQL_PWD",
        "password2",
        "set-cookie",
    ),
    *("secret", "secrets", "client_secret", "clientSecret", "webhook_secret", "secret_value", "SecretString"),
    *("token", "access_token", "accessToken", "refresh_token", "id_token", "session_token", "auth_tokens", "api token"),
    *("admin_token", "backend_token", "developer_token", "exchange_token", "x-amz-security-token"),
    *("private_key", "aws_secret_access_key", "AccountKey", "signing-key", "credential", "credentials"),
    *("connection_string", "ConnectionStrings", "a_very_" + "long_" * 20 + "api_key"),
)
QUIET_KEYS = (
    *(
        "max_tokens",
        "max_output_tokens",
        "thinking_budget_tokens",
        "token_budget",
        "tokenizer",
        "tokens_used",
        "tokens",
    ),
    *("stop_tokens", "pad_token", "next_page_token", "nextPageToken", "cas_token", "token_type", "token_endpoint"),
    *("prompt_cache_key", "cache_key", "key", "public_key", "primary_key", "partition_key", "session_key", "keyboard"),
    *(
        "secret_name",
        "secret_ref",
        "credential_ref",
        "password_policy",
        "api_key_env",
        "api_key_header",
        "cookie_policy",
    ),
    *("authorization_url", "auth_binding", "auth_mode", "access_key_id", "client_id", "session_id", "pwd", "pass"),
    *("author", "monkey", "secretary", "signature", "encrypted_content", "realm", "name", "value", ""),
)
REFERENCES = (
    *("env:OPENAI_API_KEY", "${OPENAI_API_KEY}", "$OPENAI_API_KEY", "${{ secrets.KEY }}", "{{ api_key }}", "%API_KEY%"),
    *(
        "vault://kv/data/openai#key",
        "vault:kv/openai#key",
        "secret://openai",
        "op://vault/item/field",
        "keyring:openai",
    ),
    *("file:/run/secrets/openai", "/run/secrets/service-account.json", "projects/p/secrets/s/versions/1"),
    *("arn:aws:secretsmanager:eu-west-1:1:secret:openai", "sqlite:///agents.db", "postgresql://app@db/agents"),
    *("***", "**********", "[redacted]", "***REDACTED***", "<redacted>", "<your api key>", "xxxxxxxx", "•••"),
    *("Bearer ${TOKEN}", "Bearer ***", "Bearer env:TOKEN", "", "  "),
)
NO_REFERENCES = ("hunter2", "$ecret", "${", "${A:-hunter2}", "env:", "a***", "https://example.org/x", "my password")

POSITIONS = {
    "at the top": (lambda material: {"model": "gpt-5.2", "extra": material}, "extra"),
    "in nested lists": (lambda material: {"a": [1, ["x", {"b": material}]]}, "a.1.1.b"),
    "under an unknown key": (lambda material: {"unheard-of": {"a": 1, "b": material}}, "unheard-of.b"),
    "inside a text": (lambda material: {"a": f"it is {material} , I think"}, "a"),
    "in json text": (lambda material: {"body": json.dumps({"a": [material]})}, "body.a.0"),
    "in json text in json text": (lambda material: {"a": json.dumps([json.dumps({"b": material})])}, "a.0.b"),
    "in json text quoted twice": (lambda material: {"a": json.dumps(json.dumps({"b": material}))}, "a.b"),
    "as a key": (lambda material: {"a": {"b": 1, material: 2}}, "a.<key>"),
    "as the document": (lambda material: material, "$"),
    "in a tuple": (lambda material: {"a": (1, material)}, "a.1"),
}


def table(rows):
    return [pytest.param(*(row if isinstance(row, tuple) else (row,)), id=name) for name, row in rows.items()]


@pytest.mark.parametrize(("kind", "material"), table(REFUSED))
def test_a_real_format_is_found_with_its_place_and_its_kind(kind, material):
    """Each known format is reported under a key that does not tell, by path and kind."""
    finding = find_secret({"model": "gpt-5.2", "extra": {"note": material}})

    assert finding == SecretFinding("extra.note", kind)


@pytest.mark.parametrize(("place", "path"), table(POSITIONS))
@pytest.mark.parametrize(("kind", "material"), table(REFUSED))
def test_a_real_format_is_found_anywhere_and_never_repeated(kind, material, place, path):
    """No position hides a credential, and no finding carries it."""
    finding = find_secret(place(material))

    assert finding is not None
    assert finding.path == path
    assert material not in str(finding)


@pytest.mark.parametrize("text", table(PASSES))
def test_a_look_alike_passes_anywhere(text):
    """What only resembles a credential passes in a field, in a list, in JSON text and as a key."""
    documents = (text, {"note": text}, [["x", text]], {text: 1}, {"body": json.dumps({"note": text})})

    assert [find_secret(document) for document in documents] == [None] * len(documents)


@pytest.mark.parametrize(
    "name",
    [
        *(
            "openai",
            "anthropic",
            "google",
            "google, bound to a service account",
            "google, oauth",
            "google, client secret",
        ),
        *(
            "aws",
            "bedrock",
            "github",
            "github, fine-grained",
            "gitlab",
            "slack",
            "slack, app",
            "stripe",
            "sendgrid",
            "npm",
        ),
        *("pypi", "hugging face", "groq", "xai", "replicate", "jwt", "bearer", "basic"),
    ],
)
def test_a_prefix_in_the_middle_of_a_word_is_none(name):
    """Of a longer run of letters and digits, as in the text of an image, no part is a key."""
    material = REFUSED[name][1]

    assert find_secret({"note": f"x{material}"}) is None
    assert find_secret({"note": f"x={material}"}) is not None


@pytest.mark.parametrize("key", TELLING_KEYS)
def test_a_string_under_a_telling_key_is_refused(key):
    """Under such a key any text is material, in a list and in an object too."""
    paths = [find_secret({"a": document}) for document in ({key: "x"}, {key: ["x"]}, {key: {"other": [1, "x"]}})]

    assert all(finding is not None and finding.path.startswith("a.") for finding in paths)


@pytest.mark.parametrize("key", TELLING_KEYS)
@pytest.mark.parametrize("value", [4096, 0.5, True, None, "", [], {}, [1, None], {"a": 5}])
def test_no_string_under_a_telling_key_passes(key, value):
    """Numbers, booleans, null and what is empty are no credentials, whatever the key says."""
    finding = find_secret({key: value})

    assert finding is None


@pytest.mark.parametrize("key", QUIET_KEYS)
def test_a_key_that_only_sounds_like_one_passes_unless_its_value_tells(key):
    """Budgets, names of secrets and cache keys may hold any text but a credential."""
    kind, material = REFUSED["openai"]

    assert find_secret({key: "office/reviewer/alice"}) is None
    assert find_secret({"a": {key: material}}) == SecretFinding(f"a.{key}", kind)


@pytest.mark.parametrize("reference", REFERENCES)
def test_a_reference_or_a_mask_under_a_telling_key_passes(reference):
    """Saying where a secret is kept, or that there was one, is not keeping it."""
    finding = find_secret({"api_key": reference, "headers": {"Authorization": reference}})

    assert finding is None


@pytest.mark.parametrize("value", NO_REFERENCES)
def test_what_is_no_clear_reference_is_taken_for_the_secret(value):
    """Where the syntax leaves a doubt, a value under a telling key is refused."""
    finding = find_secret({"api_key": value})

    assert finding == SecretFinding("api_key", "a value under the key 'api_key'")


def test_a_credential_dressed_as_a_reference_is_refused():
    """A known format is one behind any scheme."""
    kind, material = REFUSED["openai"]

    assert find_secret({"api_key": f"env:{material}"}) == SecretFinding("api_key", kind)
    assert find_secret({"api_key": f"vault://{material}"}) == SecretFinding("api_key", kind)


@pytest.mark.parametrize(
    "document",
    [
        pytest.param({"properties": {"api_key": {"type": "string", "description": "yours"}}}, id="json schema"),
        pytest.param({"credentials": {"type": "env", "name": "OPENAI_API_KEY"}}, id="by name"),
        pytest.param({"password": {"secret_ref": "kv/openai"}}, id="by reference"),
        pytest.param({"credentials": {"realm": "prod", "binding": "openai_main", "profile": "p"}}, id="by binding"),
    ],
)
def test_what_describes_a_secret_under_a_telling_key_passes(document):
    """Its type, its name and where it is kept may be said below a key that tells."""
    finding = find_secret(document)

    assert finding is None


def test_a_name_and_value_pair_tells_like_a_key():
    """Headers and environments are often listed as pairs."""
    document = {"env": [{"name": "REGION", "value": "eu"}, {"name": "OPENAI_API_KEY", "value": "x"}]}

    assert find_secret(document) == SecretFinding("env.1.value", "a value under the key 'OPENAI_API_KEY'")
    assert find_secret({"body": json.dumps(document)}) == SecretFinding(
        "body.env.1.value", "a value under the key 'OPENAI_API_KEY'"
    )


def test_a_telling_key_in_json_text_is_seen():
    """A body that is kept as text is read like the rest of the document."""
    finding = find_secret({"body": '  {"a": [{"api_key": "x"}]}'})

    assert finding == SecretFinding("body.a.0.api_key", "a value under the key 'api_key'")


def test_a_member_that_json_text_overwrites_is_seen():
    """Of two members of one name a parser keeps the last, and the text both."""
    finding = find_secret({"body": '{"api_key": "x", "api_key": null}'})

    assert finding is not None
    assert finding.path == "body.api_key"


def test_a_number_too_long_to_parse_hides_nothing():
    """JSON text is read although Python refuses an integer in it."""
    finding = find_secret({"body": '{"n": ' + "9" * 5000 + ', "api_key": "x"}'})

    assert finding is not None
    assert finding.path == "body.api_key"


def test_the_first_finding_in_document_order_is_reported():
    """Depth does not matter, order does."""
    document = {"a": {"b": [{"token": "x"}]}, "password": "x"}

    assert find_secret(document) == SecretFinding("a.b.0.token", "a value under the key 'token'")


def test_a_path_is_short_and_printable():
    """A key can be anything, and a path ends in logs: long ones are cut, line breaks and surrogates spelled out."""
    finding = find_secret({"x" * 1000: {"line\nbreak": {"\ud800": {"token": "x"}}}})

    assert finding is not None
    assert finding.path == "x" * 64 + "….line\\nbreak.\\ud800.token"


def test_guards_compose():
    """To widen the guard is to call another one behind it."""

    def guard(document):
        return find_secret(document) or (
            SecretFinding("model", "a private model") if document["model"] == "x" else None
        )

    assert guard({"model": "x"}) == SecretFinding("model", "a private model")
    assert guard({"model": "x", "token": "x"}) == SecretFinding("token", "a value under the key 'token'")
    assert guard({"model": "gpt-5.2"}) is None


def test_no_credential_is_remembered():
    """Keys are remembered to save time; one that is a credential is not, and the memory has an end."""
    material = REFUSED["openai"][1]
    find_secret({material: 1})
    find_secret({f"key {number}": number for number in range(10_000)})

    assert material not in secret_guard._KNOWN_KEYS
    assert len(secret_guard._KNOWN_KEYS) <= secret_guard._KNOWN_KEYS_LIMIT


@pytest.mark.parametrize("material", [None, REFUSED["github"][1]])
def test_nesting_has_no_limit(material):
    """A document of 10,000 levels is walked to its end."""
    document = material
    for level in range(10_000):
        document = [document] if level % 2 else {"a": document}

    finding = find_secret(document)

    assert finding == (None if material is None else SecretFinding(".".join(["0", "a"] * 5000), "a GitHub token"))


def test_json_text_too_deep_to_parse_is_searched_as_text():
    """What no parser would take is still searched for formats."""
    deep = "[" * 100_000

    assert find_secret({"a": deep}) is None
    assert find_secret({"a": deep + REFUSED["github"][1]}) == SecretFinding("a", "a GitHub token")


@pytest.mark.parametrize(
    "unit",
    [
        *("a", "-", "_", " ", '"', "[", "sk-", "sk-a-", "eyJ", "eyJ-", "eyJaaaaaaaa.", "://", "://a:", "://a:b"),
        *(
            "password=",
            "Bearer ",
            "Basic aaaa ",
            "-BEGIN ",
            "-----BEGIN A ",
            "SG.aaaaaaaaaaaaaaaaa.",
            "xoxb-",
            "${",
            "%20",
        ),
    ],
)
def test_a_megabyte_made_to_confuse_hides_nothing(unit):
    """Text that starts a format over and over is read to its end, where the credential stands."""
    text = unit * (1_000_000 // len(unit))

    assert find_secret({"a": text, "b": {text: 1}}) is None
    assert find_secret({"a": f"{text} | {REFUSED['github'][1]}"}) == SecretFinding("a", "a GitHub token")


LOOK_ALIKES = st.sampled_from([*PASSES.values(), *(key for key in QUIET_KEYS if key), "enable", "inherit"])
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | LOOK_ALIKES
HARMLESS = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(QUIET_KEYS[:-3]), inner, max_size=4),
    max_leaves=20,
)
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)
SHAPES = (
    *(
        ("sk-", ALPHANUMERIC, 48),
        ("sk-proj-", URL_SAFE, 156),
        ("sk-ant-" + "api03-", URL_SAFE, 95),
        ("AIza", URL_SAFE, 35),
    ),
    *(("ghp_", ALPHANUMERIC, 36), ("glpat-", URL_SAFE, 20), ("AKIA", string.ascii_uppercase + "234567", 16)),
    *(("hf_", ALPHANUMERIC, 34), ("gsk_", ALPHANUMERIC, 52), ("sk_live_", ALPHANUMERIC, 24), ("Bearer ", HEX, 32)),
)


@st.composite
def credentials(draw):
    """One of the formats, its body as random as a vendor would make it."""
    prefix, alphabet, length = draw(st.sampled_from(SHAPES))
    return prefix + "".join(random.Random(draw(st.integers(0, 2**32))).choices(alphabet, k=length))


def containers(document, path=()):
    """Every list and object of a document, each with its path."""
    if isinstance(document, dict | list):
        yield document, path
        for key, value in document.items() if isinstance(document, dict) else enumerate(document):
            yield from containers(value, (*path, key))


@st.composite
def planted(draw, documents):
    """A document with a credential put somewhere into it, the credential, and the path to it."""
    document = {"root": draw(documents)}
    material = draw(credentials())
    container, path = draw(st.sampled_from(list(containers(document))))
    if isinstance(container, dict):
        container["planted"] = material
        return document, material, (*path, "planted")
    position = draw(st.integers(0, len(container)))
    container.insert(position, material)
    return document, material, (*path, position)


@given(HARMLESS)
def test_documents_of_look_alikes_are_never_refused(document):
    """No combination of look-alikes and quiet keys amounts to a finding."""
    finding = find_secret(document)

    assert finding is None


@given(planted(HARMLESS))
def test_a_planted_credential_is_found_where_it_was_planted(case):
    """Among look-alikes the path leads to the credential and to nothing else."""
    document, material, path = case

    finding = find_secret(document)

    assert finding is not None
    assert finding.path == ".".join(map(str, path))
    assert material not in str(finding)


@given(planted(ANY_JSON))
def test_a_credential_planted_in_any_document_is_refused(case):
    """Whatever else a document holds, it is refused, and the credential is not in the finding."""
    document, material, _ = case

    finding = find_secret(document)

    assert finding is not None
    assert material not in str(finding)
