"""What the control plane logs of the libraries that it is made of."""

from __future__ import annotations

import io
import logging

import pytest
import structlog

from kuma_core.runtime import logs

LEFT = "ExecuteBatchError raised in core by servicer method [/envoy/Stream]"
BROKEN = "Unexpected [ValueError] raised by servicer method [/envoy/Stream]"


def test_a_client_that_left_in_the_middle_of_an_answer_is_no_news(caplog: pytest.LogCaptureFixture) -> None:
    logs.configure("info", io.StringIO())
    structlog.reset_defaults()
    for message in (LEFT, BROKEN):
        logging.getLogger(logs.GRPC).error(message)
    assert caplog.messages == [BROKEN]
