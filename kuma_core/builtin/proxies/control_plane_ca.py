"""``GET /control-plane-ca``: the certificate by which proxies know this control plane."""

from __future__ import annotations

import falcon

PEM = "application/x-pem-file"


class ControlPlaneCa:
    """Shows ``root``, the certificate of the xDS and SDS servers in PEM, as it was when the control plane started."""

    root = b""

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """The certificate in PEM; it is no secret, but whoever reads it must be sure where it comes from."""
        resp.text = self.root.decode()
        resp.content_type = PEM
