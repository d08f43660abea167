"""kumactl and the servers that it asks, as its own tests have them."""

from tests.kumactl.conftest import home, kumactl

__all__ = ["home", "kumactl"]
