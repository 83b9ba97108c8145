"""The document that everybody keeps, 1.2 KB as JSON, as each schema version would have written it."""

from __future__ import annotations

import copy
import json

_PARAMS = {
    "temperature": 0.2, "top_p": 0.95, "seed": 20240501, "parallel_tool_calls": True,
    "reasoning": {"effort": "high", "summary": "auto", "budget_tokens": 16384},
    "stop_sequences": ["</answer>", "Observation:"],
    "metadata": {"team": "platform", "cost_center": "4711", "trace": "9b2f6c7e-2f55-4f0e-8d52-6d9c1f0d3a10"},
}  # fmt: skip

CURRENT = {
    "schema_version": 3,
    "model": "claude-opus-4-5",
    "max_tokens": 32000,
    "structured_output_retries": 2,
    "provider": "anthropic",
    "provider_params": _PARAMS,
    "tooling": {
        "builtins": "enable", "shell": "disable", "comms": "enable", "mob": "inherit", "memory": "enable",
        "schedule": "inherit", "workgraph": "inherit", "image_generation": "inherit", "web_search": "enable",
        "active_skills": [{"source_uuid": "7f3c1e9a-52b4-4d0e-9c86-1ab2c3d4e5f6", "skill_name": "code-review"}],
        "application_tool_policy": {"kind": "unmanaged"},
    },
    "keep_alive": True,
    "comms_name": "press/reviewer/ada",
    "peer_meta": {"description": "Reviews changes before they are merged", "labels": {"lang": "en", "tier": "gold"}},
    "realm_id": "realm-3",
    "instance_id": "agents-prod-7c9d5b",
    "backend": "postgresql",
    "config_generation": 1187,
    "auth_binding": {"realm": "press", "binding": "anthropic", "profile": "day", "origin": "configured"},
    "mob_member_binding": {"mob_id": "press", "role": "reviewer", "member": "ada"},
}  # fmt: skip


def _version_2() -> dict:
    document = copy.deepcopy(CURRENT)
    document["schema_version"] = 2
    document["tooling"].pop("application_tool_policy")
    document.pop("mob_member_binding")
    document["auth_binding"].pop("origin")
    document["provider_params"]["metadata"]["note"] = (
        "kept at the size of the others, which have fields that this lacks"
    )
    return document


def _version_1() -> dict:
    document = _version_2()
    document.pop("schema_version")
    tooling = document["tooling"] = {name: value == "enable" for name, value in document["tooling"].items()}
    tooling |= {"active_skills": ["skills/code-review"], "subagents": False}
    document["host_mode"] = document.pop("keep_alive")
    binding = document.pop("auth_binding")
    document["connection_ref"] = {"realm_id": binding["realm"], "binding_id": binding["binding"], "profile": "day"}
    return document


DOCUMENTS = {1: _version_1(), 2: _version_2(), 3: CURRENT}
TEXTS = {version: json.dumps(document, separators=(",", ":")) for version, document in DOCUMENTS.items()}
REALMS = tuple(f"realm-{number}" for number in range(10))


def text(version: int, realm: str) -> str:
    """Say the document of a realm."""
    return TEXTS[version].replace("realm-3", realm)
