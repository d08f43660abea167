"""kumactl and the servers that it asks, as its own tests have them."""

from tests.kumactl.conftest import admin, certificates, connected, home, kumactl, server

__all__ = ["admin", "certificates", "connected", "home", "kumactl", "server"]
