"""What commands share that list something: a collection as the server has it, and whether there is its mesh."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from kuma_core.errors import KumaError

if TYPE_CHECKING:
    from kuma_core.kumactl.client import Client


def check_mesh(client: Client, mesh: str) -> None:
    """Raise KumaError if there is no such mesh: what is in it is listed as nothing, not refused."""
    from kuma_core.kumactl.client import ApiError, item_path

    try:
        client.get(item_path(None, "meshes", mesh))
    except ApiError as error:
        if error.status == 404:
            raise KumaError(f'there is no Mesh with name "{mesh}"; `kumactl get meshes` lists them') from None
        raise error.behind("failed to look for the mesh") from None


def fetch_items(
    client: Client, path: str, failure: str, query: Sequence[tuple[str, str]] = ()
) -> dict[str, Any]:
    """A collection as the server has it; ``failure`` stands before a refusal that is not explained."""
    from kuma_core.kumactl.client import ApiError, Unreachable

    try:
        value = client.get(path, query)
    except ApiError as error:
        raise error.behind(failure) from None
    items = value.get("items")
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise Unreachable(f"{client.url}{path} did not answer with a list of items as kumactl knows it")
    return value


def items_of(value: dict[str, Any]) -> list[dict[str, Any]]:
    """The items of a collection."""
    items: list[dict[str, Any]] = value["items"]
    return items
