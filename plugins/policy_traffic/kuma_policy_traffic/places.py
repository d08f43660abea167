"""Where proxies may write the files of access logs."""

from __future__ import annotations

from kuma_policy_traffic.settings import DIRECTORY


def said_outside(path: str, directory: str) -> str:
    """For whoever names a file outside of the directory."""
    return (
        f'"{path:.200}" is not a path below {directory}, to which the control plane confines the files of access '
        f"logs ({DIRECTORY})"
    )
