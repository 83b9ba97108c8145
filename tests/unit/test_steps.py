"""What the steps report word for word, and what the way down says and does not say."""

from __future__ import annotations

import copy

import pytest

from rekindle import upcasting
from rekindle.errors import InvalidPayloadError
from rekindle.schema import VERSIONS, v2, v3

MINIMAL = {"model": "m", "max_tokens": 1, "provider": "other", "tooling": {}}
UPPER, LOWER = "3F2504E0-4F89-41D3-9A0C-0305E82C3301", "3f2504e0-4f89-41d3-9a0c-0305e82c3301"
BY_PATH = "skills named by a path were dropped: no typed key can be derived from it"
OLD_REF = {"realm_id": "r!", "binding_id": "b", "profile": "P q"}
ENV_DEFAULT = {"realm": "env_default", "binding": "default"}

REPORTS = [
    ({"host_mode": None}, [("host_mode", "replaced by keep_alive", None, None)]),
    ({"host_mode": True}, [("host_mode", "renamed to keep_alive", True, True)]),
    (
        {"host_mode": True, "keep_alive": False},
        [("host_mode", "keep_alive is present and says the same thing newer", True, None)],
    ),
    (
        {"tooling": {"subagents": True, "shell": True, "mob": False, "later": True, "comms": "enable"}},
        [
            ("tooling.subagents", "the category no longer exists", True, None),
            ("tooling.shell", "booleans became tri-state", True, "enable"),
            ("tooling.mob", "booleans became tri-state", False, "inherit"),
        ],
    ),
    ({"tooling": {"active_skills": ["a/b"]}}, [("tooling.active_skills", BY_PATH, ["a/b"], None)]),
    (
        {"tooling": {"active_skills": ["a/b", {"source_uuid": UPPER}, {"source_uuid": LOWER}]}},
        [
            (
                "tooling.active_skills.1.source_uuid",
                "UUIDs are written hyphenated and in lower case",
                UPPER,
                LOWER,
            ),
            (
                "tooling.active_skills",
                BY_PATH,
                ["a/b", {"source_uuid": UPPER}, {"source_uuid": LOWER}],
                [{"source_uuid": LOWER}, {"source_uuid": LOWER}],
            ),
        ],
    ),
    ({"connection_ref": None}, [("connection_ref", "replaced by auth_binding", None, None)]),
    ({"connection_ref": 7}, [("connection_ref", "renamed to auth_binding", 7, 7)]),
    (
        {"host_mode": True, "connection_ref": OLD_REF},
        [
            ("host_mode", "renamed to keep_alive", True, True),
            (
                "connection_ref",
                "renamed to auth_binding",
                OLD_REF,
                {"profile": "p_q", "realm": "r_", "binding": "b"},
            ),
            ("connection_ref.realm_id", "made a slug", "r!", "r_"),
            ("connection_ref.profile", "made a slug", "P q", "p_q"),
        ],
    ),
    (
        {"connection_ref": {"realm_id": "r"}, "auth_binding": {"realm_id": "R x", "realm": "q", "binding": "b"}},
        [
            ("connection_ref", "auth_binding is present and replaces it", {"realm_id": "r"}, None),
            ("auth_binding.realm", "realm_id is present and wins", "q", "R x"),
            ("auth_binding.realm_id", "renamed to realm", "R x", "R x"),
            ("auth_binding.realm_id", "made a slug", "R x", "r_x"),
        ],
    ),
    (
        {"auth_binding": {"realm": "r", "binding_id": "b"}},
        [("auth_binding.binding_id", "renamed to binding", "b", "b")],
    ),
    ({"provider": "open_a_i"}, [("provider", "spelled openai", "open_a_i", "openai")]),
    ({"realm_id": "mob:A b"}, [("realm_id", "made a slug", "mob:A b", "mob.a_b")]),
    ({"realm_id": "A mob:"}, [("realm_id", "made a slug", "A mob:", "a_mob_")]),
    (
        {"tooling": {"tool_access_policy": {"type": "allow_list", "value": ["b", "a", "b"]}}},
        [("tooling.tool_access_policy.value", "names sorted, each once", ["b", "a", "b"], ["a", "b"])],
    ),
    (
        {
            "tooling": {
                "tool_access_policy": {
                    "type": "constraints",
                    "value": [{"type": "read_only"}, {"type": "deny_names", "value": ["b", "a"]}],
                }
            }
        },
        [("tooling.tool_access_policy.value.1.value", "names sorted, each once", ["b", "a"], ["a", "b"])],
    ),
]


@pytest.mark.parametrize(("fields", "report"), REPORTS)
def test_a_change_says_where_why_and_what(fields, report):
    """The report is there to be read: path, reason, old value and new value of each change, in this order."""
    document = {**MINIMAL, **fields}
    before = copy.deepcopy(document)

    changes = upcasting.walk(document).changes

    assert [tuple(change) for change in changes] == report
    assert document == before


def test_every_category_has_its_change_made_beforehand():
    """The ready-made changes of version 2 name the category, the reason, the old value and the new."""
    made = v2._tri_state_changes(True, "enable")

    assert made == v2._ENABLED
    assert [tuple(change) for change in made.values()] == [
        (f"tooling.{name}", "booleans became tri-state", True, "enable") for name in v2._CATEGORIES
    ]


@pytest.mark.parametrize(
    ("fields", "below"),
    [
        ({"provider": "openai"}, {"provider": "open_a_i"}),
        ({"provider": "gemini"}, {"provider": "gemini"}),
        ({"mob_member_binding": None}, {}),
        ({"auth_binding": None}, {"auth_binding": None}),
        (
            {"auth_binding": {"realm": "r", "binding": "b", "origin": None, "later": 1}},
            {"auth_binding": {"realm": "r", "binding": "b", "later": 1}},
        ),
        (
            {"auth_binding": {"realm": "r", "binding": "b", "origin": "configured"}},
            {"auth_binding": {"realm": "r", "binding": "b"}},
        ),
        ({"auth_binding": {**ENV_DEFAULT, "origin": "synthetic_env_default"}}, {"auth_binding": ENV_DEFAULT}),
        ({"tooling": {"tool_access_policy": None, "later": 1}}, {"tooling": {"later": 1}}),
        ({"tooling": {"application_tool_policy": {"kind": "unmanaged"}}}, {"tooling": {}}),
        ({"tooling": 7}, {"tooling": 7}),
    ],
)
def test_what_version_2_says_by_silence_is_left_out_on_the_way_down(fields, below):
    """Everything else stays as it is, unknown keys included, and the document that was given is untouched."""
    document = {**MINIMAL, "schema_version": 3, "later": 2, **fields}
    before = copy.deepcopy(document)

    result = v3.downcast(document)

    assert result == ({**MINIMAL, "schema_version": 2, "later": 2, **below}, ())
    assert document == before


@pytest.mark.parametrize(
    ("fields", "unsayable"),
    [
        ({"mob_member_binding": {}}, ("mob_member_binding",)),
        ({"tooling": {"tool_access_policy": {"type": "inherit"}}}, ("tooling.tool_access_policy",)),
        ({"tooling": {"application_tool_policy": {"kind": "inherit"}}}, ("tooling.application_tool_policy",)),
        ({"tooling": {"application_tool_policy": None}}, ("tooling.application_tool_policy",)),
        ({"auth_binding": ENV_DEFAULT}, ("auth_binding.origin",)),
        ({"auth_binding": {**ENV_DEFAULT, "origin": "configured"}}, ("auth_binding.origin",)),
        (
            {"auth_binding": {"realm": "env_default", "binding": "b", "origin": "synthetic_env_default"}},
            ("auth_binding.origin",),
        ),
        (
            {"auth_binding": {**ENV_DEFAULT, "profile": "p", "origin": "synthetic_env_default"}},
            ("auth_binding.origin",),
        ),
        (
            {
                "mob_member_binding": {},
                "auth_binding": ENV_DEFAULT,
                "tooling": {"tool_access_policy": {}, "application_tool_policy": {}},
            },
            (
                "mob_member_binding",
                "auth_binding.origin",
                "tooling.tool_access_policy",
                "tooling.application_tool_policy",
            ),
        ),
    ],
)
def test_what_version_2_cannot_say_is_named_on_the_way_down(fields, unsayable):
    """Each path, in full and in order."""
    assert v3.downcast({**MINIMAL, "schema_version": 3, **fields})[1] == unsayable


@pytest.mark.parametrize("number", [2, 3])
@pytest.mark.parametrize("more", [{}, {"profile": "p"}, {"origin": "configured"}, {"realm": "r"}, {"binding": "b"}])
def test_only_the_bare_pair_below_version_3_stands_for_the_environment(number, more):
    """env_default/default gets its origin where it has neither profile nor origin, and was stored below 3."""
    binding = {**ENV_DEFAULT, **more}

    document = VERSIONS[3].upcast({**MINIMAL, "schema_version": number, "auth_binding": binding})[0]
    expected = {**binding, "origin": "synthetic_env_default"} if number == 2 and not more else binding

    assert document["auth_binding"] == expected


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"tooling": {"tool_access_policy": {"type": "x"}}}, ("tooling.tool_access_policy", "is none of 'inherit', ")),
        ({"tooling": {"active_skills": [{"source_uuid": "x", "skill_name": "n"}]}}, (
            "tooling.active_skills.0.source_uuid", "is not a UUID",
        )),
        ({"mob_member_binding": {"mob_id": "m", "role": "r"}}, ("mob_member_binding.member", "Field required")),
        ({"schema_version": 0}, ("schema_version", "is not a positive integer")),
        (
            {"tooling": {"tool_access_policy": {
                "type": "constraints", "value": [{"type": "allow_names", "value": [1]}],
            }}},
            ("tooling.tool_access_policy.value.0.value.0", "Input should be a valid string"),
        ),
    ],
)  # fmt: skip
def test_a_problem_says_where_and_what_is_wrong(fields, problem):
    """The path has no tags of unions in it, and the reason no value and no address of a manual."""
    with pytest.raises(InvalidPayloadError) as caught:
        upcasting.upcast({**MINIMAL, **fields})

    ((path, reason),) = caught.value.problems

    assert path == problem[0]
    assert reason.startswith(problem[1])
