"""The diagnostics server (5680): is the control plane alive, is it ready, and what does it count.

Probes may use any method.
"""

from __future__ import annotations

from collections.abc import Callable

import falcon

from kuma_core.api.exchange import answer_json


class Healthy:
    """``/healthy``: 200 as long as the process answers and does its work, else 503.

    ``illness`` returns the sentence for what only a restart helps against, or nothing.
    """

    def __init__(self, illness: Callable[[], str] = lambda: "") -> None:
        self._illness = illness

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Empty if healthy."""
        if illness := self._illness():
            resp.status = 503
            answer_json(resp, {"title": "Not healthy", "details": illness})

    on_head = on_post = on_put = on_patch = on_delete = on_options = on_get


class Ready:
    """``/ready``: 200 when everything that a proxy needs is there, else 503 with what is missing.

    ``missing`` returns a sentence for each thing that is not there yet.
    """

    def __init__(self, missing: Callable[[], list[str]]) -> None:
        self._missing = missing

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Empty if ready."""
        missing = self._missing()
        if missing:
            resp.status = 503
            answer_json(resp, {"title": "Not ready", "details": "; ".join(missing)})

    on_head = on_post = on_put = on_patch = on_delete = on_options = on_get


class Metrics:
    """``/metrics`` in the format of Prometheus; ``render`` returns the content type and the text."""

    def __init__(self, render: Callable[[], tuple[str, bytes]]) -> None:
        self._render = render

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """The metrics."""
        resp.content_type, resp.data = self._render()

    on_head = on_get
