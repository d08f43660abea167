"""The secret with the root of the control plane's own TLS. Light: the kernel asks for it early."""

from __future__ import annotations

from kuma_core.resources.contract import OwnSecret

SECRET_MESH, SECRET_NAME = "default", "control-plane-tls"

OWN_SECRET = OwnSecret(rf"{SECRET_NAME}(-.+)?", read_at_start=True)
"""It outlives the mesh that it lies in, since every proxy trusts it."""
