"""What is wrong with the raw resources of a template that somebody writes."""

from __future__ import annotations

from collections.abc import Hashable, Iterator

from kuma_core.sdk import Violation
from kuma_core.sdk.envoy import check_names
from kuma_policy_traffic.proxy_template import known
from kuma_policy_traffic.proxy_template.addresses import check_place
from kuma_policy_traffic.proxy_template.convert import NativeResource, read_resource
from kuma_policy_traffic.proxy_template.reader import Budget
from kuma_policy_traffic.proxy_template.route_clusters import lacking_clusters


class Checker:
    """Reads the resources of one template, which share a budget and must not be in each other's way."""

    def __init__(self) -> None:
        self._budget = Budget()
        self._listening: dict[Hashable, str] = {}
        self._found: list[tuple[str, str, NativeResource]] = []
        self._sound = True

    @property
    def spent(self) -> bool:
        """Whether the template holds too much, so that nothing more of it can be read."""
        return self._budget.spent

    def problem(self, path: str, text: str) -> str:
        """Why the resource at a path cannot be taken; empty if it can."""
        try:
            found = read_resource(text, self._budget, thorough=True)
            check_names(found.name, found.message)
            check_place(found.name, found.message, self._listening)
        except ValueError as error:
            self._sound = False
            return str(error)
        self._found.append((path, text, found))
        return ""

    def warnings(self) -> Iterator[Violation]:
        """What speaks against those that can be taken, all together."""
        return lacking_clusters((path, found) for path, _, found in self._found)

    def remember(self) -> None:
        """Have what was read here read by nobody again, if all of it can be taken."""
        for _, text, found in self._found if self._sound else ():
            known.remember(text, found)
