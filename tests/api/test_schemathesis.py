"""Requests that schemathesis makes up from ``/openapi.json``, half of them wrong: none ends in a 5xx.

``CASES`` for each operation and each mode; the test prints how many were tried.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode

from kuma_core.testing.platform import RunningPlatform

from .support import assert_error

CASES = 20
BOUNDED = settings(
    max_examples=CASES,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def aim(case: Any) -> None:
    """Have the body of a good request say what its URL says, in a mesh that exists: it gets further so."""
    if "name" in case.path_parameters and "mesh" in case.path_parameters:
        case.path_parameters["mesh"] = "default"
    if isinstance(case.body, dict):
        case.body.update(case.path_parameters)


def check(case: Any, statuses: Counter[int]) -> None:
    """Send one request; whatever it is, the answer is an answer."""
    response = case.call()
    statuses[response.status_code] += 1
    assert response.status_code < 500, (case.as_curl_command(), response.text)
    if response.status_code >= 400 and case.method != "HEAD":
        assert_error(response.json())
    elif response.content:
        assert response.headers["content-type"] == ["application/json"]


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_no_request_ends_in_a_server_error(
    cp: RunningPlatform, mode: GenerationMode, capsys: pytest.CaptureFixture[str]
) -> None:
    schema = schemathesis.openapi.from_url(f"{cp.api_url}/openapi.json")
    statuses: Counter[int] = Counter()
    for result in schema.get_all_operations():
        strategy = result.ok().as_strategy(generation_mode=mode)

        @BOUNDED
        @given(case=strategy)
        def run(case: Any) -> None:
            if mode is GenerationMode.POSITIVE:
                aim(case)
            check(case, statuses)

        try:
            run()
        except Exception as error:
            if "Unsatisfiable" not in type(error).__name__:
                raise
    with capsys.disabled():
        print(f"\n{mode.value}: {statuses.total()} cases: {dict(sorted(statuses.items()))}")
    assert statuses.total() > 10 * CASES
    assert statuses[201] or mode is GenerationMode.NEGATIVE
    assert statuses[400]
    assert statuses[404]
