"""The spec of a Greeting: what its owner writes, and the rules that it keeps."""

from __future__ import annotations

from collections.abc import Iterator

from kuma_core.sdk import Spec, UInt32, Violation

LONGEST = 80


class GreetingSpec(Spec):
    """A text, and how often it is said."""

    text: str = ""
    repeat_count: UInt32 = 1

    def violations(self) -> Iterator[Violation]:
        """A greeting says something, and not too much."""
        if not self.text:
            yield Violation("text", "cannot be empty")
        if len(self.text) > LONGEST:
            yield Violation("text", f"cannot be longer than {LONGEST} characters")
