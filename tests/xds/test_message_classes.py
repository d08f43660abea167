"""Many threads that use a message class first, at once."""

from __future__ import annotations

import subprocess
import sys

RACE = """
import threading, time
from kuma_core.xds.message_classes import complete_one_at_a_time
if {locked}:
    complete_one_at_a_time()
from pydantic.dataclasses import _pydantic_dataclasses
from envoy_data_plane.envoy.extensions.transport_sockets.tls.v3 import Secret
from kuma_core.xds.encoding import validate

complete, at_once, most = _pydantic_dataclasses.complete_dataclass, [], []
def slowly(cls, *arguments, **options):
    at_once.append(cls)
    most.append(len(at_once))
    time.sleep(0.1)  # the others arrive meanwhile
    try:
        return complete(cls, *arguments, **options)
    finally:
        at_once.pop()
_pydantic_dataclasses.complete_dataclass = slowly
start = threading.Barrier(6)
def use():
    start.wait()
    validate(Secret(name="identity_cert"))
threads = [threading.Thread(target=use) for _ in range(6)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(max(most), len(most))
"""


def completions(locked: bool) -> list[int]:
    """How many threads completed the class at the same moment at most, and how often it was completed."""
    done = subprocess.run(
        [sys.executable, "-c", RACE.format(locked=locked)],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return [int(number) for number in done.stdout.split()]


def test_one_thread_completes_a_message_class_and_the_others_wait() -> None:
    assert completions(locked=True) == [1, 1]


def test_without_the_lock_every_thread_completes_it() -> None:
    """Says when pydantic no longer needs our lock."""
    assert completions(locked=False)[0] > 1


def test_kuma_cp_locks_before_a_message_class_is_there() -> None:
    code = (
        "import sys\n"
        "from kuma_core.runtime import kuma_cp\n"
        "from kuma_core.xds import message_classes\n"
        "def told(): print('envoy_data_plane' in sys.modules); raise SystemExit\n"
        "message_classes.complete_one_at_a_time = told\n"
        "sys.argv = ['kuma-cp', 'run']\n"
        "kuma_cp.main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout == "False\n"
