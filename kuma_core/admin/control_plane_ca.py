"""``GET /control-plane-ca``: the certificate by which proxies know this control plane."""

from __future__ import annotations

import falcon

PEM = "application/x-pem-file"


class ControlPlaneCa:
    """Shows the root certificate of the xDS and SDS servers, as it was when this control plane started."""

    def __init__(self, root: bytes) -> None:
        self._root = root.decode()

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """The certificate in PEM; it is no secret, but whoever reads it must be sure where it comes from."""
        resp.text = self._root
        resp.content_type = PEM
