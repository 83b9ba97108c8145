BEGIN;

CREATE TABLE rekindle_alembic_version (
    version_num VARCHAR(32) NOT NULL, 
    CONSTRAINT rekindle_alembic_version_pkc PRIMARY KEY (version_num)
);

-- Running upgrade  -> 0001

CREATE TABLE session_metadata (
    session_id VARCHAR(255) COLLATE "C" NOT NULL, 
    schema_version INTEGER NOT NULL, 
    lock_version INTEGER NOT NULL, 
    payload TEXT NOT NULL, 
    realm VARCHAR(255) COLLATE "C", 
    provider VARCHAR(32) COLLATE "C" NOT NULL, 
    model VARCHAR(255) COLLATE "C" NOT NULL, 
    instance_id VARCHAR(255) COLLATE "C", 
    comms_name VARCHAR(255) COLLATE "C", 
    created_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    CONSTRAINT pk_session_metadata PRIMARY KEY (session_id)
);

CREATE INDEX ix_session_metadata_schema_version_session_id ON session_metadata (schema_version, session_id);

CREATE INDEX ix_session_metadata_created_at_session_id ON session_metadata (created_at, session_id);

CREATE INDEX ix_session_metadata_realm_created_at_session_id ON session_metadata (realm, created_at, session_id);

CREATE TABLE session_metadata_archive (
    session_id VARCHAR(255) COLLATE "C" NOT NULL, 
    lock_version INTEGER NOT NULL, 
    schema_version INTEGER NOT NULL, 
    payload TEXT NOT NULL, 
    payload_sha256 VARCHAR(64) COLLATE "C" NOT NULL, 
    changes TEXT NOT NULL, 
    realm VARCHAR(255) COLLATE "C", 
    library_version VARCHAR(64) COLLATE "C" NOT NULL, 
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    archived_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    CONSTRAINT pk_session_metadata_archive PRIMARY KEY (session_id, lock_version, schema_version)
);

CREATE TABLE session_metadata_quarantine (
    session_id VARCHAR(255) COLLATE "C" NOT NULL, 
    schema_version INTEGER NOT NULL, 
    lock_version INTEGER NOT NULL, 
    realm VARCHAR(255) COLLATE "C", 
    step VARCHAR(32) COLLATE "C" NOT NULL, 
    error_class VARCHAR(64) COLLATE "C" NOT NULL, 
    message TEXT NOT NULL, 
    payload_sha256 VARCHAR(64) COLLATE "C" NOT NULL, 
    attempts INTEGER NOT NULL, 
    first_seen_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    last_seen_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    CONSTRAINT pk_session_metadata_quarantine PRIMARY KEY (session_id)
);

INSERT INTO rekindle_alembic_version (version_num) VALUES ('0001') RETURNING rekindle_alembic_version.version_num;

COMMIT;

INSERT INTO session_metadata (session_id, schema_version, lock_version, payload, realm, provider, model, instance_id, comms_name, created_at, updated_at) VALUES ('saved/v1/s01_full', 3, 2, '{"schema_version":3,"model":"gpt-5-mini","max_tokens":12000,"structured_output_retries":2,"provider":"openai","tooling":{"builtins":"enable","shell":"enable","comms":"enable","mob":"inherit","memory":"inherit","schedule":"inherit","workgraph":"inherit","image_generation":"inherit","web_search":"inherit","application_tool_policy":{"kind":"unmanaged"}},"keep_alive":true,"comms_name":"harbour-pilot"}', NULL, 'openai', 'gpt-5-mini', NULL, 'harbour-pilot', '2025-11-20 12:00:00.123456+00:00', '2026-11-23 19:38:23.215488+00:00');
INSERT INTO session_metadata (session_id, schema_version, lock_version, payload, realm, provider, model, instance_id, comms_name, created_at, updated_at) VALUES ('saved/v1/s04_full', 3, 2, '{"schema_version":3,"model":"gpt-5-mini","max_tokens":9000,"structured_output_retries":2,"provider":"openai","tooling":{"builtins":"enable","shell":"inherit","comms":"enable","mob":"enable","memory":"inherit","schedule":"inherit","workgraph":"inherit","image_generation":"inherit","web_search":"inherit","application_tool_policy":{"kind":"unmanaged"}},"keep_alive":true,"comms_name":"kitchen/sous/pat","peer_meta":{"description":"Plates dishes","labels":{"station":"cold"}},"realm_id":"mob.kitchen","instance_id":"stove-4","backend":"redb","config_generation":41}', 'mob.kitchen', 'openai', 'gpt-5-mini', 'stove-4', 'kitchen/sous/pat', '2025-11-20 15:00:00.123456+00:00', '2026-11-23 19:38:23.223058+00:00');
INSERT INTO session_metadata (session_id, schema_version, lock_version, payload, realm, provider, model, instance_id, comms_name, created_at, updated_at) VALUES ('saved/v2/s09_full', 3, 2, '{"schema_version":3,"model":"gpt-5-mini","max_tokens":7000,"structured_output_retries":4,"provider":"openai","self_hosted_server_id":"kept-from-before","provider_params":{"frequency_penalty":0.20000000298023224,"web_search":null},"tooling":{"builtins":"enable","shell":"inherit","comms":"enable","mob":"enable","memory":"disable","schedule":"inherit","workgraph":"inherit","image_generation":"inherit","web_search":"inherit","active_skills":[{"source_uuid":"00000000-0000-4b11-8111-000000000001","skill_name":"fog-signals"},{"source_uuid":"7f3c1e9a-52b4-4d0e-9c86-1ab2c3d4e5f6","skill_name":"2nd-lamp"}],"application_tool_policy":{"kind":"unmanaged"}},"keep_alive":true,"comms_name":"lighthouse/keeper/jo","peer_meta":{"description":"Keeps the light","labels":{"coast":"west"}},"realm_id":"mob.lighthouse","instance_id":"lamp-1","backend":"sqlite","config_generation":5,"auth_binding":{"realm":"Lighthouse","binding":"openai_batch","profile":"night"}}', 'mob.lighthouse', 'openai', 'gpt-5-mini', 'lamp-1', 'lighthouse/keeper/jo', '2025-11-20 20:00:00.123456+00:00', '2026-11-23 19:38:23.229778+00:00');
INSERT INTO session_metadata (session_id, schema_version, lock_version, payload, realm, provider, model, instance_id, comms_name, created_at, updated_at) VALUES ('saved/v3/native_full', 3, 2, '{"schema_version":3,"model":"gpt-5.2","max_tokens":64000,"structured_output_retries":7,"provider":"openai","self_hosted_server_id":"rack-9","provider_params":{"keep":[null,{"web_search":null}],"t":0.699999988079071},"tooling":{"builtins":"enable","shell":"disable","comms":"inherit","mob":"enable","memory":"disable","schedule":"inherit","workgraph":"enable","image_generation":"disable","web_search":"inherit","active_skills":[{"source_uuid":"7f3c1e9a-52b4-4d0e-9c86-1ab2c3d4e5f6","skill_name":"a"}],"tool_access_policy":{"type":"constraints","value":[{"type":"allow_names","value":["a","b"]},{"type":"read_only"}]},"application_tool_policy":{"kind":"provider","provider_id":"p","policy_id":"q"}},"keep_alive":true,"comms_name":"press/setter/al","peer_meta":{"description":"Sets type","labels":{"font":"garamond"}},"realm_id":"press.Main-1_a","instance_id":"press-1","backend":"postgresql","config_generation":18446744073709551615,"auth_binding":{"realm":"press","binding":"openai","profile":"day","origin":"configured"},"mob_member_binding":{"mob_id":"press","role":"setter","member":"al"}}', 'press.Main-1_a', 'openai', 'gpt-5.2', 'press-1', 'press/setter/al', '2025-11-21 09:00:00.123456+00:00', '2026-11-23 19:38:23.242185+00:00');
INSERT INTO session_metadata (session_id, schema_version, lock_version, payload, realm, provider, model, instance_id, comms_name, created_at, updated_at) VALUES ('v1/s01_full', 1, 1, '{
  "comms_name": "harbour-pilot",
  "host_mode": true,
  "max_tokens": 12000,
  "model": "gpt-5-mini",
  "provider": "open_a_i",
  "tooling": {
    "active_skills": [
      "charts/tide-tables",
      "log-keeping"
    ],
    "builtins": true,
    "comms": true,
    "shell": true,
    "subagents": true
  }
}
', NULL, 'openai', 'gpt-5-mini', NULL, 'harbour-pilot', '2025-11-20 12:00:00.123456+00:00', '2025-11-20 12:01:00.123456+00:00');
INSERT INTO session_metadata (session_id, schema_version, lock_version, payload, realm, provider, model, instance_id, comms_name, created_at, updated_at) VALUES ('v1/s02_full', 1, 1, '{
  "comms_name": "cartographer",
  "host_mode": true,
  "max_tokens": 8000,
  "model": "gpt-5-mini",
  "peer_meta": {
    "description": "Draws the map — carefully",
    "labels": {
      "floor": "3",
      "shift": "früh"
    }
  },
  "provider": "open_a_i",
  "tooling": {
    "active_skills": [
      "atlas/projection"
    ],
    "builtins": true,
    "comms": true,
    "shell": false,
    "subagents": true
  }
}
', NULL, 'openai', 'gpt-5-mini', NULL, 'cartographer', '2025-11-20 13:00:00.123456+00:00', '2025-11-20 13:01:00.123456+00:00');
INSERT INTO session_metadata (session_id, schema_version, lock_version, payload, realm, provider, model, instance_id, comms_name, created_at, updated_at) VALUES ('v1/s03_full', 1, 1, '{
  "backend": "jsonl",
  "comms_name": "archivist",
  "config_generation": 18446744073709551615,
  "host_mode": true,
  "instance_id": "node-b/2",
  "max_tokens": 6000,
  "model": "gpt-5-mini",
  "peer_meta": {
    "description": "Files things",
    "labels": {
      "aisle": "9"
    }
  },
  "provider": "open_a_i",
  "realm_id": "ws-00c0ffee12345678",
  "tooling": {
    "active_skills": [
      "stacks/shelving"
    ],
    "builtins": true,
    "comms": false,
    "shell": true,
    "subagents": false
  }
}
', 'ws-00c0ffee12345678', 'openai', 'gpt-5-mini', 'node-b/2', 'archivist', '2025-11-20 14:00:00.123456+00:00', '2025-11-20 14:01:00.123456+00:00');
INSERT INTO session_metadata (session_id, schema_version, lock_version, payload, realm, provider, model, instance_id, comms_name, created_at, updated_at) VALUES ('v1/s04_full', 1, 1, '{
  "backend": "redb",
  "comms_name": "kitchen/sous/pat",
  "config_generation": 41,
  "host_mode": true,
  "instance_id": "stove-4",
  "max_tokens": 9000,
  "model": "gpt-5-mini",
  "peer_meta": {
    "description": "Plates dishes",
    "labels": {
      "station": "cold"
    }
  },
  "provider": "open_a_i",
  "realm_id": "mob:kitchen",
  "tooling": {
    "active_skills": [
      "menu/allergens",
      "prep-list"
    ],
    "builtins": true,
    "comms": true,
    "mob": true,
    "shell": false,
    "subagents": true
  }
}
', 'mob.kitchen', 'openai', 'gpt-5-mini', 'stove-4', 'kitchen/sous/pat', '2025-11-20 15:00:00.123456+00:00', '2025-11-20 15:01:00.123456+00:00');
INSERT INTO session_metadata (session_id, schema_version, lock_version, payload, realm, provider, model, instance_id, comms_name, created_at, updated_at) VALUES ('v1/s05_full', 1, 1, '{
  "backend": "sqlite",
  "comms_name": "observatory/watcher/io",
  "config_generation": 3,
  "host_mode": true,
  "instance_id": "dome-1",
  "max_tokens": 32000,
  "model": "gpt-5-nano",
  "peer_meta": {
    "description": "Watches the sky",
    "labels": {
      "band": "near-ir",
      "site": "La Silla"
    }
  },
  "provider": "open_a_i",
  "realm_id": "mob:observatory",
  "tooling": {
    "active_skills": [
      "optics/collimation",
      "weather"
    ],
    "builtins": true,
    "comms": true,
    "memory": true,
    "mob": true,
    "shell": false,
    "subagents": false
  }
}
', 'mob.observatory', 'openai', 'gpt-5-nano', 'dome-1', 'observatory/watcher/io', '2025-11-20 16:00:00.123456+00:00', '2025-11-20 16:01:00.123456+00:00');
INSERT INTO session_metadata (session_id, schema_version, lock_version, payload, realm, provider, model, instance_id, comms_name, created_at, updated_at) VALUES ('v1/s06_full', 1, 1, '{
  "backend": "sqlite",
  "comms_name": "foundry/caster/lee",
  "config_generation": 12,
  "instance_id": "kiln-3",
  "keep_alive": true,
  "max_tokens": 16000,
  "model": "gpt-5-mini",
  "peer_meta": {
    "description": "Pours",
    "labels": {
      "metal": "bronze"
    }
  },
  "provider": "open_a_i",
  "provider_params": {
    "reasoning_effort": "low",
    "seed": -7,
    "temperature": 0.699999988079071
  },
  "realm_id": "mob:foundry",
  "structured_output_retries": 0,
  "tooling": {
    "active_skills": [
      "moulds/lost-wax"
    ],
    "builtins": true,
    "comms": true,
    "memory": true,
    "mob": true,
    "shell": true
  }
}
', 'mob.foundry', 'openai', 'gpt-5-mini', 'kiln-3', 'foundry/caster/lee', '2025-11-20 17:00:00.123456+00:00', '2025-11-20 17:01:00.123456+00:00');
INSERT INTO session_metadata (session_id, schema_version, lock_version, payload, realm, provider, model, instance_id, comms_name, created_at, updated_at) VALUES ('v1/s07_full', 1, 1, '{
  "backend": "jsonl",
  "comms_name": "orchard/picker/ash",
  "config_generation": 2,
  "instance_id": "row-17",
  "keep_alive": true,
  "max_tokens": 5000,
  "model": "gpt-5-mini",
  "peer_meta": {
    "description": "Picks",
    "labels": {
      "crop": "pear"
    }
  },
  "provider": "open_a_i",
  "provider_params": {
    "thinking": {
      "type": "none"
    }
  },
  "realm_id": "mob:orchard",
  "structured_output_retries": 3,
  "tooling": {
    "active_skills": [
      "ladders",
      "ripeness/by-colour"
    ],
    "builtins": "disable",
    "comms": "enable",
    "memory": "enable",
    "mob": "enable",
    "shell": "inherit"
  }
}
', 'mob.orchard', 'openai', 'gpt-5-mini', 'row-17', 'orchard/picker/ash', '2025-11-20 18:00:00.123456+00:00', '2025-11-20 18:01:00.123456+00:00');
INSERT INTO session_metadata (session_id, schema_version, lock_version, payload, realm, provider, model, instance_id, comms_name, created_at, updated_at) VALUES ('v1/s08_full', 1, 1, '{
  "backend": "sqlite",
  "comms_name": "workshop/turner/mo",
  "config_generation": 77,
  "instance_id": "lathe-2",
  "keep_alive": true,
  "max_tokens": 24000,
  "model": "qwen3-32b-awq",
  "peer_meta": {
    "description": "Turns wood",
    "labels": {
      "species": "oak"
    }
  },
  "provider": "self_hosted",
  "provider_params": {
    "chat_template_kwargs": {
      "enable_thinking": false
    }
  },
  "realm_id": "mob:workshop",
  "self_hosted_server_id": "Rack 4 / GPU:0",
  "structured_output_retries": 1,
  "tooling": {
    "active_skills": [],
    "builtins": "enable",
    "comms": "enable",
    "memory": "disable",
    "mob": "enable",
    "shell": "disable"
  }
}
', 'mob.workshop', 'self_hosted', 'qwen3-32b-awq', 'lathe-2', 'workshop/turner/mo', '2025-11-20 19:00:00.123456+00:00', '2025-11-20 19:01:00.123456+00:00');
INSERT INTO session_metadata (session_id, schema_version, lock_version, payload, realm, provider, model, instance_id, comms_name, created_at, updated_at) VALUES ('v2/s09_full', 2, 1, '{
  "auth_binding": {
    "binding": "openai_batch",
    "profile": "night",
    "realm": "Lighthouse"
  },
  "backend": "sqlite",
  "comms_name": "lighthouse/keeper/jo",
  "config_generation": 5,
  "instance_id": "lamp-1",
  "keep_alive": true,
  "max_tokens": 7000,
  "model": "gpt-5-mini",
  "peer_meta": {
    "description": "Keeps the light",
    "labels": {
      "coast": "west"
    }
  },
  "provider": "open_a_i",
  "provider_params": {
    "frequency_penalty": 0.20000000298023224,
    "web_search": null
  },
  "realm_id": "mob.lighthouse",
  "schema_version": 2,
  "self_hosted_server_id": "kept-from-before",
  "structured_output_retries": 4,
  "tooling": {
    "active_skills": [
      {
        "skill_name": "fog-signals",
        "source_uuid": "00000000-0000-4b11-8111-000000000001"
      },
      {
        "skill_name": "2nd-lamp",
        "source_uuid": "7f3c1e9a-52b4-4d0e-9c86-1ab2c3d4e5f6"
      }
    ],
    "builtins": "enable",
    "comms": "enable",
    "memory": "disable",
    "mob": "enable",
    "shell": "inherit"
  }
}
', 'mob.lighthouse', 'openai', 'gpt-5-mini', 'lamp-1', 'lighthouse/keeper/jo', '2025-11-20 20:00:00.123456+00:00', '2025-11-20 20:01:00.123456+00:00');
INSERT INTO session_metadata (session_id, schema_version, lock_version, payload, realm, provider, model, instance_id, comms_name, created_at, updated_at) VALUES ('v2/s10_full', 2, 1, '{
  "auth_binding": {
    "binding": "gemini-main",
    "profile": "day",
    "realm": "lighthouse.eu"
  },
  "backend": "jsonl",
  "comms_name": "lighthouse/keeper/jo",
  "config_generation": 6,
  "instance_id": "lamp-2",
  "keep_alive": true,
  "max_tokens": 7100,
  "model": "gemini-2.5-flash",
  "peer_meta": {
    "description": "Keeps the light",
    "labels": {
      "coast": "east"
    }
  },
  "provider": "gemini",
  "provider_params": {
    "candidate_count": 1,
    "thinking_budget": 512
  },
  "realm_id": "mob.lighthouse",
  "schema_version": 2,
  "structured_output_retries": 4,
  "tooling": {
    "active_skills": [
      {
        "skill_name": "fog-signals",
        "source_uuid": "00000000-0000-4b11-8111-000000000002"
      }
    ],
    "builtins": "enable",
    "comms": "disable",
    "image_generation": "enable",
    "memory": "enable",
    "mob": "disable",
    "shell": "enable"
  }
}
', 'mob.lighthouse', 'gemini', 'gemini-2.5-flash', 'lamp-2', 'lighthouse/keeper/jo', '2025-11-20 21:00:00.123456+00:00', '2025-11-20 21:01:00.123456+00:00');
INSERT INTO session_metadata (session_id, schema_version, lock_version, payload, realm, provider, model, instance_id, comms_name, created_at, updated_at) VALUES ('v2/s11_full', 2, 1, '{
  "auth_binding": {
    "binding": "gemini-main",
    "profile": "day",
    "realm": "lighthouse.eu"
  },
  "backend": "jsonl",
  "comms_name": "lighthouse/keeper/jo",
  "config_generation": 6,
  "instance_id": "lamp-2",
  "keep_alive": true,
  "max_tokens": 7100,
  "model": "gpt-5-mini",
  "peer_meta": {
    "description": "Keeps the light",
    "labels": {
      "coast": "east"
    }
  },
  "provider": "open_a_i",
  "provider_params": {
    "web_search": {
      "search_context_size": "low"
    }
  },
  "realm_id": "mob.lighthouse",
  "schema_version": 2,
  "structured_output_retries": 4,
  "tooling": {
    "active_skills": [
      {
        "skill_name": "fog-signals",
        "source_uuid": "00000000-0000-4b11-8111-000000000002"
      }
    ],
    "builtins": "inherit",
    "comms": "enable",
    "image_generation": "inherit",
    "memory": "disable",
    "mob": "enable",
    "shell": "disable",
    "web_search": "enable"
  }
}
', 'mob.lighthouse', 'openai', 'gpt-5-mini', 'lamp-2', 'lighthouse/keeper/jo', '2025-11-20 22:00:00.123456+00:00', '2025-11-20 22:01:00.123456+00:00');
INSERT INTO session_metadata (session_id, schema_version, lock_version, payload, realm, provider, model, instance_id, comms_name, created_at, updated_at) VALUES ('v2/s12_full', 2, 1, '{
  "auth_binding": {
    "binding": "gemini-main",
    "profile": "day",
    "realm": "lighthouse.eu"
  },
  "backend": "jsonl",
  "comms_name": "lighthouse/keeper/jo",
  "config_generation": 6,
  "instance_id": "lamp-2",
  "keep_alive": true,
  "max_tokens": 7100,
  "model": "qwen3-32b-awq",
  "peer_meta": {
    "description": "Keeps the light",
    "labels": {
      "coast": "east"
    }
  },
  "provider": "self_hosted",
  "provider_params": [
    {
      "guided": true
    }
  ],
  "realm_id": "mob.lighthouse",
  "schema_version": 2,
  "self_hosted_server_id": "rack-4",
  "structured_output_retries": 4,
  "tooling": {
    "active_skills": [
      {
        "skill_name": "fog-signals",
        "source_uuid": "00000000-0000-4b11-8111-000000000002"
      }
    ],
    "builtins": "enable",
    "comms": "inherit",
    "image_generation": "disable",
    "memory": "enable",
    "mob": "inherit",
    "shell": "enable",
    "web_search": "disable",
    "workgraph": "enable"
  }
}
', 'mob.lighthouse', 'self_hosted', 'qwen3-32b-awq', 'lamp-2', 'lighthouse/keeper/jo', '2025-11-20 23:00:00.123456+00:00', '2025-11-20 23:01:00.123456+00:00');
INSERT INTO session_metadata (session_id, schema_version, lock_version, payload, realm, provider, model, instance_id, comms_name, created_at, updated_at) VALUES ('v2/s13_full', 2, 1, '{
  "auth_binding": {
    "binding": "gemini-main",
    "profile": "day",
    "realm": "lighthouse.eu"
  },
  "backend": "jsonl",
  "comms_name": "lighthouse/keeper/jo",
  "config_generation": 6,
  "instance_id": "lamp-2",
  "keep_alive": true,
  "max_tokens": 7100,
  "model": "gpt-5-mini",
  "peer_meta": {
    "description": "Keeps the light",
    "labels": {
      "coast": "east"
    }
  },
  "provider": "open_a_i",
  "provider_params": {
    "reasoning_effort": "xhigh"
  },
  "realm_id": "mob.lighthouse",
  "schema_version": 2,
  "structured_output_retries": 4,
  "tooling": {
    "active_skills": [
      {
        "skill_name": "fog-signals",
        "source_uuid": "00000000-0000-4b11-8111-000000000002"
      }
    ],
    "builtins": "disable",
    "comms": "disable",
    "image_generation": "enable",
    "memory": "enable",
    "mob": "disable",
    "schedule": "enable",
    "shell": "disable",
    "web_search": "disable",
    "workgraph": "disable"
  }
}
', 'mob.lighthouse', 'openai', 'gpt-5-mini', 'lamp-2', 'lighthouse/keeper/jo', '2025-11-21 00:00:00.123456+00:00', '2025-11-21 00:01:00.123456+00:00');
INSERT INTO session_metadata (session_id, schema_version, lock_version, payload, realm, provider, model, instance_id, comms_name, created_at, updated_at) VALUES ('v2/s14_full', 2, 1, '{
  "auth_binding": {
    "binding": "openai_main",
    "origin": "configured",
    "profile": "default",
    "realm": "atelier"
  },
  "backend": "sqlite",
  "comms_name": "atelier/painter/kim",
  "config_generation": 19,
  "instance_id": "easel-5",
  "keep_alive": true,
  "max_tokens": 48000,
  "mob_member_binding": {
    "member": "kim",
    "mob_id": "atelier",
    "role": "painter"
  },
  "model": "gpt-5.1",
  "peer_meta": {
    "description": "Paints",
    "labels": {
      "medium": "oil"
    }
  },
  "provider": "openai",
  "provider_params": {
    "provider_tag": {
      "provider": "open_ai",
      "reasoning_effort": "medium",
      "seed": 11
    },
    "reasoning": "silent",
    "temperature": 0.30000001192092896,
    "top_p": 1.0
  },
  "realm_id": "mob.atelier",
  "schema_version": 2,
  "structured_output_retries": 6,
  "tooling": {
    "active_skills": [
      {
        "skill_name": "glazing",
        "source_uuid": "00000000-0000-4b11-8111-000000000001"
      }
    ],
    "builtins": "enable",
    "comms": "enable",
    "image_generation": "enable",
    "memory": "disable",
    "mob": "enable",
    "schedule": "disable",
    "shell": "inherit",
    "web_search": "enable",
    "workgraph": "disable"
  }
}
', 'mob.atelier', 'openai', 'gpt-5.1', 'easel-5', 'atelier/painter/kim', '2025-11-21 01:00:00.123456+00:00', '2025-11-21 01:01:00.123456+00:00');
INSERT INTO session_metadata (session_id, schema_version, lock_version, payload, realm, provider, model, instance_id, comms_name, created_at, updated_at) VALUES ('v2/s15_full', 2, 1, '{
  "auth_binding": {
    "binding": "claude_main",
    "profile": "default",
    "realm": "atelier"
  },
  "backend": "memory",
  "comms_name": "atelier/painter/kim",
  "config_generation": 20,
  "instance_id": "easel-6",
  "keep_alive": true,
  "max_tokens": 48000,
  "mob_member_binding": {
    "member": "kim",
    "mob_id": "atelier",
    "role": "painter"
  },
  "model": "claude-sonnet-4-5",
  "peer_meta": {
    "description": "Paints",
    "labels": {
      "medium": "ink"
    }
  },
  "provider": "anthropic",
  "provider_params": {
    "provider_tag": {
      "cache_control": "system_prefix",
      "effort": "x_high",
      "provider": "anthropic",
      "thinking": {
        "budget_tokens": 2048,
        "type": "enabled"
      },
      "web_search": "{\"type\":\"web_search_20250305\"}"
    }
  },
  "realm_id": "mob.atelier",
  "schema_version": 2,
  "structured_output_retries": 2,
  "tooling": {
    "active_skills": [
      {
        "skill_name": "inks",
        "source_uuid": "7f3c1e9a-52b4-4d0e-9c86-1ab2c3d4e5f6"
      }
    ],
    "builtins": "enable",
    "comms": "enable",
    "image_generation": "inherit",
    "memory": "enable",
    "mob": "enable",
    "schedule": "enable",
    "shell": "enable",
    "web_search": "inherit",
    "workgraph": "enable"
  }
}
', 'mob.atelier', 'anthropic', 'claude-sonnet-4-5', 'easel-6', 'atelier/painter/kim', '2025-11-21 02:00:00.123456+00:00', '2025-11-21 02:01:00.123456+00:00');
INSERT INTO session_metadata (session_id, schema_version, lock_version, payload, realm, provider, model, instance_id, comms_name, created_at, updated_at) VALUES ('v2/s16_full', 2, 1, '{
  "auth_binding": {
    "binding": "openai_main",
    "profile": "default",
    "realm": "atelier"
  },
  "backend": "sqlite",
  "comms_name": "atelier/framer/lou",
  "config_generation": 21,
  "instance_id": "bench-1",
  "keep_alive": true,
  "max_tokens": 50000,
  "mob_member_binding": {
    "member": "lou",
    "mob_id": "atelier",
    "role": "framer"
  },
  "model": "gpt-5.1",
  "peer_meta": {
    "description": "Frames",
    "labels": {
      "wood": "ash"
    }
  },
  "provider": "openai",
  "realm_id": "mob.atelier",
  "schema_version": 2,
  "structured_output_retries": 3,
  "tooling": {
    "active_skills": [
      {
        "skill_name": "mitre-cuts",
        "source_uuid": "00000000-0000-4b11-8111-000000000001"
      }
    ],
    "builtins": "enable",
    "comms": "enable",
    "image_generation": "disable",
    "memory": "enable",
    "mob": "enable",
    "schedule": "enable",
    "shell": "disable",
    "tool_access_policy": {
      "type": "allow_list",
      "value": [
        "saw",
        "clamp",
        "saw",
        "Glue"
      ]
    },
    "web_search": "enable",
    "workgraph": "disable"
  }
}
', 'mob.atelier', 'openai', 'gpt-5.1', 'bench-1', 'atelier/framer/lou', '2025-11-21 03:00:00.123456+00:00', '2025-11-21 03:01:00.123456+00:00');
INSERT INTO session_metadata (session_id, schema_version, lock_version, payload, realm, provider, model, instance_id, comms_name, created_at, updated_at) VALUES ('v2/s17_full', 2, 1, '{
  "auth_binding": {
    "binding": "openai_main",
    "profile": "default",
    "realm": "atelier"
  },
  "backend": "sqlite",
  "comms_name": "atelier/framer/lou",
  "config_generation": 21,
  "instance_id": "bench-1",
  "keep_alive": true,
  "max_tokens": 50000,
  "mob_member_binding": {
    "member": "lou",
    "mob_id": "atelier",
    "role": "framer"
  },
  "model": "gpt-5.2",
  "peer_meta": {
    "description": "Frames",
    "labels": {
      "wood": "ash"
    }
  },
  "provider": "openai",
  "provider_params": {
    "max_output_tokens": 900,
    "provider_tag": {
      "prompt_cache_options": {
        "mode": "explicit",
        "ttl": "30m"
      },
      "provider": "open_ai",
      "reasoning_context": "all_turns",
      "reasoning_effort": "max",
      "reasoning_mode": "pro",
      "text_verbosity": "high"
    }
  },
  "realm_id": "mob.atelier",
  "schema_version": 2,
  "structured_output_retries": 3,
  "tooling": {
    "active_skills": [
      {
        "skill_name": "mitre-cuts",
        "source_uuid": "00000000-0000-4b11-8111-000000000001"
      }
    ],
    "builtins": "enable",
    "comms": "enable",
    "image_generation": "disable",
    "memory": "enable",
    "mob": "enable",
    "schedule": "enable",
    "shell": "disable",
    "tool_access_policy": {
      "type": "deny_list",
      "value": [
        "chisel"
      ]
    },
    "web_search": "enable",
    "workgraph": "disable"
  }
}
', 'mob.atelier', 'openai', 'gpt-5.2', 'bench-1', 'atelier/framer/lou', '2025-11-21 04:00:00.123456+00:00', '2025-11-21 04:01:00.123456+00:00');
INSERT INTO session_metadata (session_id, schema_version, lock_version, payload, realm, provider, model, instance_id, comms_name, created_at, updated_at) VALUES ('v2/s18_full', 2, 1, '{
  "auth_binding": {
    "binding": "openai_main",
    "profile": "default",
    "realm": "atelier"
  },
  "backend": "sqlite",
  "comms_name": "atelier/framer/lou",
  "config_generation": 21,
  "instance_id": "bench-1",
  "keep_alive": true,
  "max_tokens": 50000,
  "mob_member_binding": {
    "member": "lou",
    "mob_id": "atelier",
    "role": "framer"
  },
  "model": "gpt-5.2",
  "peer_meta": {
    "description": "Frames",
    "labels": {
      "wood": "ash"
    }
  },
  "provider": "openai",
  "provider_params": {
    "provider_tag": {
      "prompt_cache_enabled": true,
      "provider": "open_ai"
    }
  },
  "realm_id": "mob.atelier",
  "schema_version": 2,
  "structured_output_retries": 3,
  "tooling": {
    "active_skills": [
      {
        "skill_name": "mitre-cuts",
        "source_uuid": "00000000-0000-4b11-8111-000000000001"
      }
    ],
    "builtins": "enable",
    "comms": "enable",
    "image_generation": "disable",
    "memory": "enable",
    "mob": "enable",
    "schedule": "enable",
    "shell": "disable",
    "tool_access_policy": {
      "type": "allow_list",
      "value": [
        "saw",
        "clamp"
      ]
    },
    "web_search": "enable",
    "workgraph": "disable"
  }
}
', 'mob.atelier', 'openai', 'gpt-5.2', 'bench-1', 'atelier/framer/lou', '2025-11-21 05:00:00.123456+00:00', '2025-11-21 05:01:00.123456+00:00');
INSERT INTO session_metadata (session_id, schema_version, lock_version, payload, realm, provider, model, instance_id, comms_name, created_at, updated_at) VALUES ('v2/s19_full', 2, 1, '{
  "auth_binding": {
    "binding": "openai_main",
    "profile": "default",
    "realm": "atelier"
  },
  "backend": "sqlite",
  "comms_name": "atelier/framer/lou",
  "config_generation": 21,
  "instance_id": "bench-1",
  "keep_alive": true,
  "max_tokens": 50000,
  "mob_member_binding": {
    "member": "lou",
    "mob_id": "atelier",
    "role": "framer"
  },
  "model": "claude-sonnet-4-5",
  "peer_meta": {
    "description": "Frames",
    "labels": {
      "wood": "ash"
    }
  },
  "provider": "anthropic",
  "provider_params": {
    "provider_tag": {
      "cache_control": "system_and_conversation",
      "cache_ttl": "1h",
      "provider": "anthropic",
      "top_k": 40
    }
  },
  "realm_id": "mob.atelier",
  "schema_version": 2,
  "structured_output_retries": 3,
  "tooling": {
    "active_skills": [
      {
        "skill_name": "mitre-cuts",
        "source_uuid": "00000000-0000-4b11-8111-000000000001"
      }
    ],
    "builtins": "enable",
    "comms": "enable",
    "image_generation": "disable",
    "memory": "enable",
    "mob": "enable",
    "schedule": "enable",
    "shell": "disable",
    "web_search": "enable",
    "workgraph": "disable"
  }
}
', 'mob.atelier', 'anthropic', 'claude-sonnet-4-5', 'bench-1', 'atelier/framer/lou', '2025-11-21 06:00:00.123456+00:00', '2025-11-21 06:01:00.123456+00:00');
INSERT INTO session_metadata (session_id, schema_version, lock_version, payload, realm, provider, model, instance_id, comms_name, created_at, updated_at) VALUES ('v2/s20_full', 2, 1, '{
  "auth_binding": {
    "binding": "openai_main",
    "profile": "default",
    "realm": "atelier"
  },
  "backend": "sqlite",
  "comms_name": "atelier/framer/lou",
  "config_generation": 21,
  "instance_id": "bench-1",
  "keep_alive": true,
  "max_tokens": 50000,
  "mob_member_binding": {
    "member": "lou",
    "mob_id": "atelier",
    "role": "framer"
  },
  "model": "gemini-3-pro",
  "peer_meta": {
    "description": "Frames",
    "labels": {
      "wood": "ash"
    }
  },
  "provider": "gemini",
  "provider_params": {
    "provider_tag": {
      "bag": {
        "body": "null",
        "key": "web_search",
        "namespace": "gemini"
      },
      "provider": "unknown"
    }
  },
  "realm_id": "mob.atelier",
  "schema_version": 2,
  "structured_output_retries": 3,
  "tooling": {
    "active_skills": [
      {
        "skill_name": "mitre-cuts",
        "source_uuid": "00000000-0000-4b11-8111-000000000001"
      }
    ],
    "builtins": "enable",
    "comms": "enable",
    "image_generation": "disable",
    "memory": "enable",
    "mob": "enable",
    "schedule": "enable",
    "shell": "disable",
    "tool_access_policy": {
      "type": "read_only"
    },
    "web_search": "enable",
    "workgraph": "disable"
  }
}
', 'mob.atelier', 'gemini', 'gemini-3-pro', 'bench-1', 'atelier/framer/lou', '2025-11-21 07:00:00.123456+00:00', '2025-11-21 07:01:00.123456+00:00');
INSERT INTO session_metadata (session_id, schema_version, lock_version, payload, realm, provider, model, instance_id, comms_name, created_at, updated_at) VALUES ('v2/s21_full', 2, 1, '{
  "auth_binding": {
    "binding": "openai_main",
    "profile": "default",
    "realm": "atelier"
  },
  "backend": "sqlite",
  "comms_name": "atelier/framer/lou",
  "config_generation": 21,
  "instance_id": "bench-1",
  "keep_alive": true,
  "max_tokens": 50000,
  "mob_member_binding": {
    "member": "lou",
    "mob_id": "atelier",
    "role": "framer"
  },
  "model": "gpt-5.2",
  "peer_meta": {
    "description": "Frames",
    "labels": {
      "wood": "ash"
    }
  },
  "provider": "openai",
  "provider_params": {},
  "realm_id": "mob.atelier",
  "schema_version": 2,
  "structured_output_retries": 3,
  "tooling": {
    "active_skills": [
      {
        "skill_name": "mitre-cuts",
        "source_uuid": "00000000-0000-4b11-8111-000000000001"
      }
    ],
    "application_tool_policy": {
      "kind": "provider",
      "policy_id": "frames-2",
      "provider_id": "atelier.house"
    },
    "builtins": "enable",
    "comms": "enable",
    "image_generation": "disable",
    "memory": "enable",
    "mob": "enable",
    "schedule": "enable",
    "shell": "disable",
    "tool_access_policy": {
      "type": "constraints",
      "value": [
        {
          "type": "allow_names",
          "value": [
            "saw",
            "clamp",
            "saw"
          ]
        },
        {
          "type": "read_only"
        },
        {
          "type": "deny_names",
          "value": [
            "chisel",
            "plane"
          ]
        },
        {
          "type": "deny_names",
          "value": [
            "b",
            "a"
          ]
        }
      ]
    },
    "web_search": "enable",
    "workgraph": "disable"
  }
}
', 'mob.atelier', 'openai', 'gpt-5.2', 'bench-1', 'atelier/framer/lou', '2025-11-21 08:00:00.123456+00:00', '2025-11-21 08:01:00.123456+00:00');
INSERT INTO session_metadata (session_id, schema_version, lock_version, payload, realm, provider, model, instance_id, comms_name, created_at, updated_at) VALUES ('v3/native_full', 3, 1, '{"schema_version":3,"model":"gpt-5.2","max_tokens":64000,"structured_output_retries":7,"provider":"openai","self_hosted_server_id":"rack-9","provider_params":{"keep":[null,{"web_search":null}],"t":0.699999988079071},"tooling":{"builtins":"enable","shell":"disable","comms":"inherit","mob":"enable","memory":"disable","schedule":"inherit","workgraph":"enable","image_generation":"disable","web_search":"inherit","active_skills":[{"source_uuid":"7f3c1e9a-52b4-4d0e-9c86-1ab2c3d4e5f6","skill_name":"a"}],"tool_access_policy":{"type":"constraints","value":[{"type":"allow_names","value":["a","b"]},{"type":"read_only"}]},"application_tool_policy":{"kind":"provider","provider_id":"p","policy_id":"q"}},"keep_alive":true,"comms_name":"press/setter/al","peer_meta":{"description":"Sets type","labels":{"font":"garamond"}},"realm_id":"press.Main-1_a","instance_id":"press-1","backend":"postgresql","config_generation":18446744073709551615,"auth_binding":{"realm":"press","binding":"openai","profile":"day","origin":"configured"},"mob_member_binding":{"mob_id":"press","role":"setter","member":"al"}}', 'press.Main-1_a', 'openai', 'gpt-5.2', 'press-1', 'press/setter/al', '2025-11-21 09:00:00.123456+00:00', '2025-11-21 09:01:00.123456+00:00');
INSERT INTO session_metadata_archive (session_id, lock_version, schema_version, payload, payload_sha256, changes, realm, library_version, updated_at, archived_at) VALUES ('saved/v1/s01_full', 1, 1, '{
  "comms_name": "harbour-pilot",
  "host_mode": true,
  "max_tokens": 12000,
  "model": "gpt-5-mini",
  "provider": "open_a_i",
  "tooling": {
    "active_skills": [
      "charts/tide-tables",
      "log-keeping"
    ],
    "builtins": true,
    "comms": true,
    "shell": true,
    "subagents": true
  }
}
', 'c8b6024ce0214f9ee8658f6aa3e60b49116b53063e3464227d9872000fc0d3a9', '[{"path":"host_mode","reason":"renamed to keep_alive","old":true,"new":true},{"path":"tooling.subagents","reason":"the category no longer exists","old":true,"new":null},{"path":"tooling.builtins","reason":"booleans became tri-state","old":true,"new":"enable"},{"path":"tooling.comms","reason":"booleans became tri-state","old":true,"new":"enable"},{"path":"tooling.shell","reason":"booleans became tri-state","old":true,"new":"enable"},{"path":"tooling.active_skills","reason":"skills named by a path were dropped: no typed key can be derived from it","old":["charts/tide-tables","log-keeping"],"new":null},{"path":"provider","reason":"spelled openai","old":"open_a_i","new":"openai"}]', NULL, '0.1.0', '2025-11-20 12:00:00.123456+00:00', '2026-11-23 19:38:23.217835+00:00');
INSERT INTO session_metadata_archive (session_id, lock_version, schema_version, payload, payload_sha256, changes, realm, library_version, updated_at, archived_at) VALUES ('saved/v1/s04_full', 1, 1, '{
  "backend": "redb",
  "comms_name": "kitchen/sous/pat",
  "config_generation": 41,
  "host_mode": true,
  "instance_id": "stove-4",
  "max_tokens": 9000,
  "model": "gpt-5-mini",
  "peer_meta": {
    "description": "Plates dishes",
    "labels": {
      "station": "cold"
    }
  },
  "provider": "open_a_i",
  "realm_id": "mob:kitchen",
  "tooling": {
    "active_skills": [
      "menu/allergens",
      "prep-list"
    ],
    "builtins": true,
    "comms": true,
    "mob": true,
    "shell": false,
    "subagents": true
  }
}
', 'b8338990e3a9e1189078bc319123c5c674469a4cef64b466c28d8071f36bead6', '[{"path":"host_mode","reason":"renamed to keep_alive","old":true,"new":true},{"path":"tooling.subagents","reason":"the category no longer exists","old":true,"new":null},{"path":"tooling.builtins","reason":"booleans became tri-state","old":true,"new":"enable"},{"path":"tooling.comms","reason":"booleans became tri-state","old":true,"new":"enable"},{"path":"tooling.mob","reason":"booleans became tri-state","old":true,"new":"enable"},{"path":"tooling.shell","reason":"booleans became tri-state","old":false,"new":"inherit"},{"path":"tooling.active_skills","reason":"skills named by a path were dropped: no typed key can be derived from it","old":["menu/allergens","prep-list"],"new":null},{"path":"provider","reason":"spelled openai","old":"open_a_i","new":"openai"},{"path":"realm_id","reason":"made a slug","old":"mob:kitchen","new":"mob.kitchen"}]', 'mob.kitchen', '0.1.0', '2025-11-20 15:00:00.123456+00:00', '2026-11-23 19:38:23.223296+00:00');
INSERT INTO session_metadata_archive (session_id, lock_version, schema_version, payload, payload_sha256, changes, realm, library_version, updated_at, archived_at) VALUES ('saved/v2/s09_full', 1, 2, '{
  "auth_binding": {
    "binding": "openai_batch",
    "profile": "night",
    "realm": "Lighthouse"
  },
  "backend": "sqlite",
  "comms_name": "lighthouse/keeper/jo",
  "config_generation": 5,
  "instance_id": "lamp-1",
  "keep_alive": true,
  "max_tokens": 7000,
  "model": "gpt-5-mini",
  "peer_meta": {
    "description": "Keeps the light",
    "labels": {
      "coast": "west"
    }
  },
  "provider": "open_a_i",
  "provider_params": {
    "frequency_penalty": 0.20000000298023224,
    "web_search": null
  },
  "realm_id": "mob.lighthouse",
  "schema_version": 2,
  "self_hosted_server_id": "kept-from-before",
  "structured_output_retries": 4,
  "tooling": {
    "active_skills": [
      {
        "skill_name": "fog-signals",
        "source_uuid": "00000000-0000-4b11-8111-000000000001"
      },
      {
        "skill_name": "2nd-lamp",
        "source_uuid": "7f3c1e9a-52b4-4d0e-9c86-1ab2c3d4e5f6"
      }
    ],
    "builtins": "enable",
    "comms": "enable",
    "memory": "disable",
    "mob": "enable",
    "shell": "inherit"
  }
}
', '936b097d341208dc1742d341c875a3699fded4b7bd0e2c5e39f6948c49384860', '[{"path":"provider","reason":"spelled openai","old":"open_a_i","new":"openai"}]', 'mob.lighthouse', '0.1.0', '2025-11-20 20:00:00.123456+00:00', '2026-11-23 19:38:23.229995+00:00');
