"""The Dataplane of a Pod, from the Pod, the Services of its namespace and what the mesh offers. Pure functions."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kuma_runtime_k8s.controllers.annotations import (
    Object,
    is_gateway,
    is_injected,
    mesh_of,
    metadata,
    redirect_port,
)
from kuma_runtime_k8s.objects import GROUP, VERSION

SERVICE = "service"
"""The tag by which others find an inbound."""

ENDED = ("Succeeded", "Failed")
"""Phases of a Pod from which it never comes back."""

Addresses = Callable[[str, str], str]
"""The address of the Service of a name in a namespace; empty if there is none that a proxy could listen on."""


@dataclass(frozen=True, slots=True)
class NoDataplane:
    """Why a Pod has no Dataplane; ``reason`` is a word for programs. ``is_told`` says whether its owner should know."""

    reason: str
    message: str
    is_told: bool = True


def dataplane(
    pod: Object, services: Iterable[Object], outbound: list[Object]
) -> dict[str, Any] | NoDataplane:
    """The Dataplane of a Pod, as the custom resource that it is to be, or why it has none.

    ``services`` are those of the Pod's namespace, ``outbound`` what ``outbounds`` made of its mesh.
    """
    if not is_injected(pod):
        return NoDataplane("NotInjected", "no proxy runs in the Pod", is_told=False)
    status = pod.get("status") or {}
    if status.get("phase") in ENDED:
        return NoDataplane("Ended", "the Pod has ended", is_told=False)
    address = pod_address(pod)
    if not address:
        return _without_address(status)
    found = list(inbounds(pod, services, address))
    if not found:
        return NoDataplane("NoService", _no_service(pod))
    meta = metadata(pod)
    return {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": "Dataplane",
        "mesh": mesh_of(pod),
        "metadata": {
            "namespace": meta["namespace"],
            "name": meta["name"],
            "ownerReferences": [owner_reference(pod)],
        },
        "spec": {"networking": _networking(pod, found, outbound)},
    }


def _without_address(status: Object) -> NoDataplane:
    if status.get("podIP"):
        said = f"the Pod has no IPv4 address, only {status['podIP']}"
        return NoDataplane("NoIPv4Address", said)
    return NoDataplane("NoAddress", "the Pod has no address yet", is_told=False)


def _no_service(pod: Object) -> str:
    return (
        f'no Service of the namespace "{metadata(pod).get("namespace")}" selects the Pod with a TCP port that one of '
        "its containers declares; without one it offers nothing, and has no Dataplane"
    )


def owner_reference(pod: Object) -> dict[str, Any]:
    """The one owner of a Dataplane, with which it goes."""
    meta = metadata(pod)
    owner = {"apiVersion": "v1", "kind": "Pod", "name": meta["name"], "uid": meta["uid"]}
    return {**owner, "controller": True, "blockOwnerDeletion": True}


def pod_address(pod: Object) -> str:
    """The first IPv4 address of a Pod: an interface can name no other yet. Empty if it has none."""
    status = pod.get("status") or {}
    listed = [item.get("ip", "") for item in status.get("podIPs") or ()]
    return _first_ipv4([*listed, status.get("podIP") or ""])


def service_address(service: Object) -> str:
    """The first IPv4 address of a Service; empty for a headless one, which has none."""
    spec = service.get("spec") or {}
    return _first_ipv4([*(spec.get("clusterIPs") or ()), spec.get("clusterIP") or ""])


def _first_ipv4(texts: Iterable[str]) -> str:
    for text in texts:
        try:
            if ipaddress.ip_address(text).version == 4:
                return text
        except ValueError:
            continue
    return ""


def _networking(pod: Object, found: list[dict[str, Any]], outbound: list[Object]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    port = redirect_port(pod)
    if port is not None:
        made["transparentProxying"] = {"redirectPort": port} if port else {}
    if is_gateway(pod):
        made["gateway"] = {"tags": found[0]["tags"]}
    else:
        made["inbound"] = found
    if outbound:
        made["outbound"] = outbound
    return made


# -- inbounds


def inbounds(pod: Object, services: Iterable[Object], address: str) -> Iterator[dict[str, Any]]:
    """An inbound for each port of a Service that leads to a port which a container declares.

    Services come in the order of their names, so that equal clusters give equal results.
    """
    for service in sorted(services, key=lambda item: str(metadata(item).get("name"))):
        if not selects(service, pod):
            continue
        for port in (service.get("spec") or {}).get("ports") or ():
            if (port.get("protocol") or "TCP") != "TCP":
                continue
            target = container_port(pod, port.get("targetPort", port.get("port")))
            if target:
                interface = f"{address}:{target}:{target}"
                yield {"interface": interface, "tags": tags(pod, service, port["port"])}


def selects(service: Object, pod: Object) -> bool:
    """Whether a Service selects a Pod. One without a selector selects none, nor does an ExternalName."""
    spec = service.get("spec") or {}
    selector = spec.get("selector") or {}
    if not selector or spec.get("type") == "ExternalName":
        return False
    labels = metadata(pod).get("labels") or {}
    return all(labels.get(key) == value for key, value in selector.items())


def container_port(pod: Object, target: Any) -> int:
    """The declared TCP port that a ``targetPort``, a number or a name, means; 0 if no container declares it.

    Only regular containers count.
    """
    for container in (pod.get("spec") or {}).get("containers") or ():
        for port in container.get("ports") or ():
            is_meant = port.get("name") if isinstance(target, str) else port.get("containerPort")
            if is_meant == target and (port.get("protocol") or "TCP") == "TCP":
                return int(port["containerPort"])
    return 0


def tags(pod: Object, service: Object, port: int) -> dict[str, str]:
    """The labels of the Pod, and the port of the Service as the tag ``service``. A tag cannot be empty."""
    labels = metadata(pod).get("labels") or {}
    meta = metadata(service)
    made = {key: value for key, value in labels.items() if value}
    return {**made, SERVICE: f"{meta['name']}.{meta['namespace']}.svc:{port}"}


# -- outbounds


def offered(spec: Object) -> set[str]:
    """The services that the inbounds of a Dataplane offer; none if its spec cannot be read."""
    networking = spec.get("networking")
    listed = networking.get("inbound") if isinstance(networking, Mapping) else None
    found = set()
    for inbound in listed if isinstance(listed, list) else ():
        known = inbound.get("tags") if isinstance(inbound, Mapping) else None
        service = known.get(SERVICE) if isinstance(known, Mapping) else None
        if isinstance(service, str):
            found.add(service)
    return found


def outbounds(services: Iterable[str], addresses: Addresses) -> list[Object]:
    """An outbound for each service of a mesh whose Service has an address, in the order of their texts.

    They are the same for all Dataplanes of the mesh.
    """
    made: list[Object] = []
    for service in sorted(set(services)):
        place = service_place(service)
        address = addresses(place[0], place[1]) if place else ""
        if place and address:
            made.append({"interface": f"{address}:{place[2]}", "service": service})
    return made


def service_place(service: str) -> tuple[str, str, str] | None:
    """Name, namespace and port of a service ``<name>.<namespace>.<anything>:<port>``; ``None`` for another form."""
    host, colon, port = service.rpartition(":")
    parts = host.split(".")
    if not colon or len(parts) != 3 or not all(parts[:2]) or not (port.isascii() and port.isdigit()):
        return None
    return parts[0], parts[1], port


# -- what there is, and what is to be


def is_owned_by(item: Object, pod: Object) -> bool:
    """Whether no other controller than the Pod owns a Dataplane."""
    owners = metadata(item).get("ownerReferences") or ()
    others = [owner for owner in owners if owner.get("controller")]
    return all(owner.get("uid") == metadata(pod).get("uid") for owner in others)


def brought_up_to_date(present: Object, wanted: Mapping[str, Any]) -> dict[str, Any] | None:
    """A Dataplane as it is to be, with all else that it has; ``None`` if it is so already."""
    meta, references = metadata(present), wanted["metadata"]["ownerReferences"]
    is_same = (
        present.get("mesh") == wanted["mesh"]
        and present.get("spec") == wanted["spec"]
        and _mine(meta, references) == references
    )
    if is_same:
        return None
    others = [
        owner for owner in meta.get("ownerReferences") or () if owner.get("uid") != references[0]["uid"]
    ]
    made = {**present, "mesh": wanted["mesh"], "spec": wanted["spec"]}
    return {**made, "metadata": {**meta, "ownerReferences": [*others, *references]}}


def _mine(meta: Object, references: list[Object]) -> list[Object]:
    uid = references[0]["uid"]
    return [owner for owner in meta.get("ownerReferences") or () if owner.get("uid") == uid]
