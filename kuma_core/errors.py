"""The error family: every error that a user may see is one of these, and its text is the whole message.

Nothing here knows about HTTP or gRPC; each edge maps the classes to its own codes in one table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum


class KumaError(Exception):
    """An error that is already explained to the user: what was wrong, where, and what to do next."""


class ConfigError(KumaError):
    """The configuration, or how the program was called, is wrong."""


class PluginError(KumaError):
    """A plugin is broken, incompatible, or gave something that the kernel cannot take.

    ``plugin`` is the name of its entry point; ``hook`` the hook that was being called, if one was.
    """

    def __init__(self, message: str, plugin: str, hook: str | None = None) -> None:
        super().__init__(message)
        self.plugin = plugin
        self.hook = hook


class Severity(Enum):
    """Whether a violation refuses a write or only comes along with it."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Violation:
    """One thing that is wrong with a resource.

    ``field`` is a path from the resource's root, as in ``networking.inbound[0].tags["service"]``.
    """

    field: str
    message: str
    severity: Severity = Severity.ERROR


class ResourceError(KumaError):
    """Something about a resource went wrong."""


class InvalidResource(ResourceError):
    """The resource breaks one or more rules; ``violations`` holds every one of them, in order."""

    def __init__(self, violations: Sequence[Violation], details: str = "Resource is not valid") -> None:
        self.violations = tuple(violations)
        self.details = details
        super().__init__("; ".join(f"{v.field}: {v.message}" for v in self.violations) or details)


class MalformedResource(InvalidResource):
    """The resource could not even be read: not JSON, nested too deeply, or a value of the wrong type."""


class UnreadableResource(ResourceError):
    """A stored resource cannot be read by this version of its kind; ``key`` is its ``ResourceKey``, if it has one."""

    def __init__(self, message: str, key: object = None) -> None:
        super().__init__(message)
        self.key = key


class NotFound(ResourceError):
    """There is no such resource."""


class AlreadyExists(ResourceError):
    """A resource of that key exists already."""


class Conflict(ResourceError):
    """The stored resource is no longer the one that the writer had read."""


class Busy(KumaError):
    """The control plane could not answer in time; the text says what it was asked."""


class StoreUnavailable(KumaError):
    """The store cannot be reached at the moment; the same request may succeed later."""


class StoreTakesNoWrites(StoreUnavailable):
    """The store can be read, but not written to at the moment.

    ``reason`` says why in a few words that anybody may read, without addresses or names.
    """

    def __init__(self, message: str, reason: str = "") -> None:
        super().__init__(message)
        self.reason = reason or "its log has the reason"


class StoreFailed(StoreUnavailable):
    """The plugin of the store raised what no store should; ``plugin`` is the name of its entry point."""

    def __init__(self, message: str, plugin: str = "") -> None:
        super().__init__(message)
        self.plugin = plugin


class LeaseLost(KumaError):
    """A part of the leader wanted to write, and this control plane leads no more, or never did with that term."""
