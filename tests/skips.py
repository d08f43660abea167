"""How many tests may be skipped in CI: a test that is skipped tests nothing.

A plugin of pytest for the whole suite. Where ``KUMA_TEST_REQUIRES`` says that the machine has all that tests need, a
run fails in which more are skipped than ``ALLOWED``, however many workers it has.

Tests on a real Kubernetes are counted apart: its programs take minutes to build, so a run without them says so at its
end and goes well; those on a real node likewise. ``KUMA_REQUIRE_KUBE=1`` and ``KUMA_REQUIRE_NODE=1`` let none of them
be skipped.
"""

from __future__ import annotations

import os
from collections import Counter

import pytest

from .kube.assets import ADVICE, MISSING
from .needs import REQUIRES
from .node.assets import MISSING as NO_NODE

APART = {
    MISSING: f"tests on a real Kubernetes were skipped: {ADVICE}",
    NO_NODE: "tests on a real node of Kubernetes were skipped; see why above",
}
"""What the reasons of skips begin with that are counted apart, and what a run says at its end."""

ALLOWED = 4
"""Tests that do not apply, and those of plugins that are yet to come. Keep it as low as it can be."""


class Skips:
    """Counts what is skipped, in the process to which the workers of pytest-xdist report."""

    def __init__(self) -> None:
        self._found: set[str] = set()
        self._apart: Counter[str] = Counter()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note a skipped test; an expected failure is none, although its report says so."""
        if not report.skipped or hasattr(report, "wasxfail"):
            return
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
        if apart := next((start for start in APART if reason.startswith(f"Skipped: {start}")), None):
            self._apart[apart] += 1
        else:
            self._found.add(report.nodeid)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note a module that is skipped as a whole, once, though every worker tells of it."""
        if report.skipped:
            self._found.add(report.nodeid)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Fail a run that went well but for what it left out."""
        if len(self._found) > ALLOWED and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(
        self, terminalreporter: pytest.TerminalReporter, config: pytest.Config
    ) -> None:
        """Say what is wrong with the number: too many, or in a run of everything too few."""
        count = len(self._found)
        for apart, number in self._apart.items():
            terminalreporter.write_line(f"{number} {APART[apart]}", yellow=True)
        if count > ALLOWED:
            text = f"FAILED: {count} tests were skipped, and tests/skips.py allows {ALLOWED}; see why above"
            terminalreporter.write_line(text, red=True)
        elif count < ALLOWED and _is_whole(config):
            terminalreporter.write_line(f"Only {count} tests were skipped: lower ALLOWED in tests/skips.py")


def pytest_configure(config: pytest.Config) -> None:
    """Count in the process that hears of everything, where nothing is missing."""
    if os.environ.get(REQUIRES) and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Skips(), "skips")


def _is_whole(config: pytest.Config) -> bool:
    """Whether a run has all tests but those that have a run of their own, by their marks."""
    is_everywhere = config.args_source is pytest.Config.ArgsSource.TESTPATHS
    return is_everywhere and str(config.getoption("markexpr")).startswith("not ")
