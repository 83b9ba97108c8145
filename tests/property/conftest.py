"""How hard the properties are tried: `make test` a little, `make test-deep` for as long as it takes."""

import os
import sys
from pathlib import Path

from hypothesis import HealthCheck, settings

sys.path.insert(0, str(Path(__file__).parent))  # strategies.py and the like, which are imported by path

_COMMON = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large]}

settings.register_profile("modest", max_examples=60, derandomize=True, **_COMMON)
settings.register_profile("deep", max_examples=2000, **_COMMON)
settings.load_profile(os.environ.get("REKINDLE_HYPOTHESIS_PROFILE", "modest"))
