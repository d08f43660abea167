"""Waiting for conditions: tests never wait for a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def eventually(probe: Callable[[], T], seconds: float = 30.0, what: str = "") -> T:
    """The first true value of ``probe``, which is called again and again; its last failure if none comes.

    ``seconds`` only says when to give up: enough for a machine that is busy with other things. A test names fewer
    where the time itself is what is promised.
    """
    deadline = time.monotonic() + seconds
    while True:
        failure: BaseException | None = None
        try:
            value = probe()
            if value:
                return value
        except (AssertionError, OSError, LookupError) as error:
            failure = error
        if time.monotonic() > deadline:
            text = f"{what or 'the condition'} did not come true within {seconds} s"
            raise AssertionError(text) from failure
        time.sleep(0.01)
