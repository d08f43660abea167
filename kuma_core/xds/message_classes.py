"""Message classes are completed by one thread at a time.

pydantic completes a class of Envoy's messages at its first use. Where two threads use it first, the second one to
begin takes away for some milliseconds what the first has just set, and whoever reads it then gets an
``AttributeError``: two proxies that connect to a fresh control plane at once would lose a stream by that.
"""

from __future__ import annotations

import threading
from typing import Any

from pydantic import dataclasses

_complete = dataclasses.rebuild_dataclass
_one_at_a_time = threading.RLock()  # a class that is completed may complete another


def complete_one_at_a_time() -> None:
    """Put a lock around pydantic's completion of classes; to be called before ``envoy_data_plane`` is imported.

    A class remembers when it is made how to complete itself. To complete all of them at the start would take
    0.6 s and 12 MiB; the lock costs nothing once a class is complete.
    """
    dataclasses.rebuild_dataclass = _complete_alone


def _complete_alone(cls: Any, *, _parent_namespace_depth: int = 2, **options: Any) -> bool | None:
    """As pydantic's own, which looks names up in its caller's caller; this function is one more between them."""
    with _one_at_a_time:
        return _complete(cls, _parent_namespace_depth=_parent_namespace_depth + 1, **options)
