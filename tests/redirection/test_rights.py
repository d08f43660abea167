"""What ``kuma-init`` may do in a container: two capabilities, no new ones, and nothing to write to."""

from __future__ import annotations

import subprocess
import sys

import pytest

from kuma_core.redirection.choosing import NAMES

from .. import needs
from ..namespaces import machine
from .pods import INIT

OF_THE_CONTAINER = "-all,+net_admin,+net_raw"
READ_ONLY = "mount -t tmpfs -o ro tmpfs /run && "
"""Where iptables-legacy has its lock."""


@pytest.mark.parametrize("back_end", NAMES)
def test_two_capabilities_are_enough_and_no_file_is_written(back_end: str) -> None:
    needs.program("setpriv", "util-linux")
    program, package = ("nft", "nftables") if back_end == "nft" else (f"{back_end}-restore", "iptables")
    needs.program(program, package)
    caps = [f"--inh-caps={OF_THE_CONTAINER}", f"--bounding-set={OF_THE_CONTAINER}", "--no-new-privs"]
    with machine(["--net", "--mount"], READ_ONLY) as words:
        everything = [*words, sys.executable, "-c", INIT, "-u", "5678", "--back-end", back_end]
        done = subprocess.run(everything, capture_output=True, text=True, timeout=60, check=False)
        if done.returncode:
            needs.missing(package, f"{back_end} cannot redirect here: {done.stderr.strip()}")
        for arguments in (["-u", "5678", "--back-end", back_end], ["--remove"]):
            command = [*words, "setpriv", *caps, sys.executable, "-c", INIT, *arguments]
            done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
            assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith("The rules of kuma-init are taken away.")
