"""Bounds of numbers and durations, told alike in a violation and in OpenAPI.

They are rules, not types: a stored document that an earlier version took stays readable.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from kuma_core.durations import HOUR, MILLISECOND, format_duration
from kuma_core.errors import Violation
from kuma_core.specs.base import Spec

HIGHEST_PORT = 65535
YEAR = 8760 * HOUR


@dataclass(frozen=True, slots=True)
class Between:
    """Marks a field whose value has to lie in a range. 0 is no value, and what is below is for other rules.

    ``write`` shows a value as operators write it.
    """

    least: int
    most: int
    write: Callable[[int], str] = str

    @property
    def range(self) -> str:
        """As in ``[1ms, 8760h]``."""
        return f"[{self.write(self.least)}, {self.write(self.most)}]"

    def clamp(self, value: int) -> int:
        """The nearest value of the range."""
        return min(max(value, self.least), self.most)

    def __get_pydantic_json_schema__(self, core_schema: Any, handler: Any) -> dict[str, Any]:
        """A number has its bounds as JSON Schema knows them; a text can only say them in words."""
        schema: dict[str, Any] = dict(handler(core_schema))
        if schema.get("type") != "integer":
            return {**schema, "description": f"In the range of {self.range}."}
        schema.pop("exclusiveMaximum", None)
        return {**schema, "minimum": self.least, "maximum": self.most}


def plain_duration(nanoseconds: int) -> str:
    """As ``format_duration``, without trailing zeros: ``8760h``, ``1h30m``, ``1ms``."""
    return re.sub(r"(?<=h)0m0s$|(?<=m)0s$", "", format_duration(nanoseconds))


PORT = Between(0, HIGHEST_PORT)
PERIOD = Between(MILLISECOND, YEAR, plain_duration)
"""How often Envoy does something, or how long it waits: below, its timers keep a processor busy; above, it refuses
the update."""


def out_of_bounds(spec: Spec, path: str) -> Iterator[Violation]:
    """A violation for each field of a spec that is out of its bounds; ``path`` is where the spec stands."""
    for name, info in type(spec).model_fields.items():
        bounds = next((mark for mark in info.metadata if isinstance(mark, Between)), None)
        value = getattr(spec, name)
        if bounds and value > 0 and not bounds.least <= value <= bounds.most:
            yield Violation(f"{path}.{info.alias or name}", f"has to be in range of {bounds.range}")
