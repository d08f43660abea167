"""What proxies get for policies, compared with files that a person can read."""

from __future__ import annotations

from pathlib import Path

import kuma_policy_traffic
from kuma_core.testing.policies import PolicySuite


class TestPolicies(PolicySuite):
    plugins = (kuma_policy_traffic,)
    cases = Path(__file__).parent / "golden"
