"""Refuses a Dataplane of this machine behind one of whose inbounds there is the control plane itself.

Its proxy connects to the workload over loopback: whoever calls the inbound would have the rights of this machine.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable, Iterator

from kuma_core.auth.users import LOCAL_IS_ADMIN, MODE, TOKENS
from kuma_core.config import Config
from kuma_core.errors import Violation
from kuma_core.model import Resource
from kuma_core.plugin.hookspecs import hookimpl
from kuma_core.specs.dataplane import DATAPLANE
from kuma_core.specs.interfaces import parse_inbound

NOT_LISTENING = ("store.", "runtime.", "bootstrapServer.params.", "dataplaneTokenServer.")
"""Where a key that ends in ``port`` names no port of ours."""


class OwnPorts:
    """The ports of this control plane, of its plugins' servers too, with the setting of each."""

    def __init__(self, config: Config) -> None:
        self._matters = config.text(MODE) != TOKENS  # else nobody is somebody for where they come from
        self._ports = {
            config.number(setting.path): setting.path
            for setting in config.settings
            if setting.path.lower().endswith("port") and not setting.path.startswith(NOT_LISTENING)
        }
        self._ports.pop(0, None)

    @hookimpl
    def kuma_admit(self, resource: Resource | None) -> Iterable[Violation]:
        """What speaks against a write of a Dataplane."""
        if resource is None or resource.key.type != DATAPLANE or not self._matters:
            return []
        return list(self._led_here(resource))

    def _led_here(self, resource: Resource) -> Iterator[Violation]:
        for index, inbound in enumerate(resource.spec.networking.inbound):
            place = parse_inbound(inbound.interface)
            if (setting := self._ports.get(place.workload_port)) and is_of_this_machine(place.ip):
                yield Violation(
                    f"networking.inbound[{index}].interface",
                    f"port {place.workload_port} of the workload is the control plane's own ({setting}): whoever calls "
                    f"this inbound would be taken for a program of this machine. Choose another port, or set {MODE}, "
                    f"where such programs may everything ({LOCAL_IS_ADMIN} and open), to {TOKENS}",
                )


def is_of_this_machine(address: str) -> bool:
    """Whether an address leads here: it is loopback, stands for every address, or is one of a network card's."""
    found = ipaddress.ip_address(address)
    if found.is_loopback or found.is_unspecified:
        return True
    family = socket.AF_INET if found.version == 4 else socket.AF_INET6
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, 0))  # the kernel takes its own addresses alone
        except OSError:
            return False
    return True
