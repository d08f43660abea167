"""The Dataplane of a Pod: the worked examples, and each rule."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from kuma_core.sdk import DataplaneSpec, Severity, parse_spec
from kuma_runtime_k8s.controllers.dataplanes import (
    NoDataplane,
    brought_up_to_date,
    dataplane,
    is_owned_by,
    offered,
    outbounds,
    pod_address,
    service_address,
    service_place,
)

POD: dict[str, Any] = yaml.safe_load(
    """
    metadata:
      name: example
      namespace: demo
      uid: "1-2"
      labels: {app: example, version: "0.1"}
      annotations:
        kuma.io/mesh: default
        kuma.io/sidecar-injected: "true"
        kuma.io/transparent-proxying: enabled
        kuma.io/transparent-proxying-port: "15001"
    spec:
      containers:
      - ports: [{containerPort: 8080}]
      - ports: [{containerPort: 8443}, {containerPort: 6060, name: metrics}]
    status: {podIP: 192.168.0.1}
    """
)


def service(name: str, *ports: tuple[int, Any], namespace: str = "demo", **spec: Any) -> dict[str, Any]:
    listed = [{"port": port, "targetPort": target} for port, target in ports]
    made = {"selector": {"app": "example"}, "ports": listed, **spec}
    return {"metadata": {"name": name, "namespace": namespace}, "spec": made}


EXAMPLE = service("example", (80, 8080), (443, 8443))
SAMPLE = service("sample", (7071, 7070), (6061, "metrics"))
ADDRESSES = {("test-app", "playground"): "10.108.144.24"}


def address(name: str, namespace: str) -> str:
    return ADDRESSES.get((name, namespace), "")


def pod(**annotations: str) -> dict[str, Any]:
    made = copy.deepcopy(POD)
    made["metadata"]["annotations"] |= {
        f"kuma.io/{name.replace('_', '-')}": value for name, value in annotations.items()
    }
    return made


def made(of: dict[str, Any], *services: dict[str, Any], outbound: Any = ()) -> dict[str, Any]:
    found = dataplane(of, services, list(outbound))
    assert not isinstance(found, NoDataplane), found
    spec, unknown = parse_spec(DataplaneSpec, found["spec"])
    errors = [item for item in spec.violations() if item.severity is Severity.ERROR]
    assert (unknown, errors) == ([], [])
    return found


def why(of: dict[str, Any], *services: dict[str, Any]) -> NoDataplane:
    found = dataplane(of, services, [])
    assert isinstance(found, NoDataplane)
    return found


def test_two_services_over_one_pod() -> None:
    mesh = ["test-app.playground.svc:80", "test-app.playground.svc:443"]
    assert made(POD, SAMPLE, EXAMPLE, outbound=outbounds(mesh, address)) == yaml.safe_load(
        """
        apiVersion: kuma.io/v1alpha1
        kind: Dataplane
        mesh: default
        metadata:
          namespace: demo
          name: example
          ownerReferences:
          - {apiVersion: v1, kind: Pod, name: example, uid: "1-2", controller: true, blockOwnerDeletion: true}
        spec:
          networking:
            transparentProxying: {redirectPort: 15001}
            inbound:
            - interface: "192.168.0.1:8080:8080"
              tags: {app: example, version: "0.1", service: "example.demo.svc:80"}
            - interface: "192.168.0.1:8443:8443"
              tags: {app: example, version: "0.1", service: "example.demo.svc:443"}
            - interface: "192.168.0.1:6060:6060"
              tags: {app: example, version: "0.1", service: "sample.demo.svc:6061"}
            outbound:
            - {interface: "10.108.144.24:443", service: "test-app.playground.svc:443"}
            - {interface: "10.108.144.24:80", service: "test-app.playground.svc:80"}
        """
    )


def test_a_gateway_has_the_tags_of_the_first_inbound() -> None:
    networking = made(pod(gateway="enabled"), EXAMPLE, SAMPLE)["spec"]["networking"]
    assert "inbound" not in networking
    assert networking["gateway"] == {
        "tags": {"app": "example", "version": "0.1", "service": "example.demo.svc:80"}
    }
    assert why(pod(gateway="enabled")).reason == "NoService"


@pytest.mark.parametrize("said", ["true", "Enabled", "disabled", ""])
def test_other_words_make_no_gateway(said: str) -> None:
    assert "inbound" in made(pod(gateway=said), EXAMPLE)["spec"]["networking"]


@pytest.mark.parametrize("said", ["false", "True", "", "yes"])
def test_a_pod_without_a_proxy(said: str) -> None:
    assert why(pod(sidecar_injected=said), EXAMPLE) == NoDataplane(
        "NotInjected", "no proxy runs in the Pod", is_told=False
    )


@pytest.mark.parametrize(("said", "mesh"), [("shop", "shop"), ("", "default")])
def test_its_mesh(said: str, mesh: str) -> None:
    assert made(pod(mesh=said), EXAMPLE)["mesh"] == mesh


@pytest.mark.parametrize(
    ("port", "expected"),
    [
        ("15001", {"redirectPort": 15001}),
        ("", {}),
        ("x", {}),
        ("-1", {}),
        ("0", {}),
        ("99999", {}),
        ("٣", {}),
        ("9" * 5000, {}),
    ],
)
def test_the_redirected_port(port: str, expected: Any) -> None:
    networking = made(pod(transparent_proxying_port=port), EXAMPLE)["spec"]["networking"]
    assert networking["transparentProxying"] == expected
    without = made(pod(transparent_proxying="true"), EXAMPLE)["spec"]["networking"]
    assert "transparentProxying" not in without


@pytest.mark.parametrize(
    ("status", "found"),
    [
        ({"podIP": "10.0.0.1"}, "10.0.0.1"),
        ({"podIP": "fd00::1", "podIPs": [{"ip": "fd00::1"}, {"ip": "10.0.0.2"}]}, "10.0.0.2"),
        ({"podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}]}, "10.0.0.1"),
        ({"podIP": "fd00::1"}, ""),
        ({"podIP": ""}, ""),
        ({}, ""),
    ],
)
def test_the_address_of_a_pod(status: Any, found: str) -> None:
    assert pod_address({**POD, "status": status}) == found


def test_without_an_address_there_is_none() -> None:
    assert why({**POD, "status": {}}, EXAMPLE) == NoDataplane(
        "NoAddress", "the Pod has no address yet", is_told=False
    )
    six = why({**POD, "status": {"podIP": "fd00::1"}}, EXAMPLE)
    assert (six.reason, six.is_told) == ("NoIPv4Address", True)
    assert "fd00::1" in six.message


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_a_pod_that_has_ended(phase: str) -> None:
    ended = {**POD, "status": {"podIP": "192.168.0.1", "phase": phase}}
    assert why(ended, EXAMPLE).reason == "Ended"


@pytest.mark.parametrize(
    "other",
    [
        service("a", (80, 8080), selector={}),
        service("a", (80, 8080), selector=None),
        service("a", (80, 8080), type="ExternalName"),
        service("a", (80, 8080), selector={"app": "other"}),
        service("a", (80, 8080), selector={"app": "example", "zone": "1"}),
        service("a", (80, 9999)),
        service("a", (80, "unknown")),
        service("a"),
        service("a", ports=[{"port": 80, "targetPort": 8080, "protocol": "UDP"}]),
        service("a", ports=None),
    ],
)
def test_services_that_offer_nothing_of_the_pod(other: dict[str, Any]) -> None:
    refusal = why(POD, other)
    assert (refusal.reason, refusal.is_told) == ("NoService", True)
    assert 'no Service of the namespace "demo" selects the Pod' in refusal.message
    assert len(made(POD, other, EXAMPLE)["spec"]["networking"]["inbound"]) == 2


def test_a_port_of_udp_is_no_port_of_ours() -> None:
    of_udp = copy.deepcopy(POD)
    of_udp["spec"]["containers"] = [{"ports": [{"containerPort": 8080, "protocol": "UDP"}]}]
    assert why(of_udp, EXAMPLE).reason == "NoService"
    of_init = copy.deepcopy(POD)
    of_init["spec"] = {"containers": [{}], "initContainers": POD["spec"]["containers"]}
    assert why(of_init, EXAMPLE).reason == "NoService"


def test_a_port_without_a_target_is_its_own() -> None:
    found = made(POD, service("a", ports=[{"port": 8080}]))["spec"]["networking"]["inbound"]
    assert [item["interface"] for item in found] == ["192.168.0.1:8080:8080"]


def test_a_label_with_an_empty_value_is_no_tag() -> None:
    labelled = copy.deepcopy(POD)
    labelled["metadata"]["labels"] |= {"empty": "", "service": "mine", "a.b/c": "d"}
    (inbound,) = made(labelled, service("a", (80, 8080)))["spec"]["networking"]["inbound"]
    assert inbound["tags"] == {"app": "example", "version": "0.1", "a.b/c": "d", "service": "a.demo.svc:80"}


def test_two_services_over_one_port_are_both_kept() -> None:
    found = dataplane(POD, [service("a", (80, 8080)), service("b", (81, 8080))], [])
    assert isinstance(found, dict)
    inbound = found["spec"]["networking"]["inbound"]
    assert [item["interface"] for item in inbound] == ["192.168.0.1:8080:8080"] * 2
    assert [item["tags"]["service"] for item in inbound] == ["a.demo.svc:80", "b.demo.svc:81"]


def test_the_order_of_services_changes_nothing() -> None:
    assert made(POD, EXAMPLE, SAMPLE) == made(POD, SAMPLE, EXAMPLE)


# -- outbounds


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("web.demo.svc:80", ("web", "demo", "80")),
        ("web.demo.mesh:80", ("web", "demo", "80")),
        ("web:80", None),
        ("web.demo:80", None),
        ("a.b.c.d:80", None),
        ("web.demo.svc", None),
        ("web.demo.svc:x", None),
        (".demo.svc:80", None),
        ("", None),
    ],
)
def test_where_a_service_is(text: str, place: Any) -> None:
    assert service_place(text) == place


@pytest.mark.parametrize(
    ("spec", "found"),
    [
        ({"clusterIP": "10.0.0.1"}, "10.0.0.1"),
        ({"clusterIP": "fd00::1", "clusterIPs": ["fd00::1", "10.0.0.2"]}, "10.0.0.2"),
        ({"clusterIP": "None", "clusterIPs": ["None"]}, ""),
        ({"clusterIP": ""}, ""),
        ({"clusterIP": "fd00::1"}, ""),
        ({}, ""),
    ],
)
def test_the_address_of_a_service(spec: Any, found: str) -> None:
    assert service_address({"spec": spec}) == found


def test_services_without_an_address_are_left_out() -> None:
    assert outbounds(["gone.demo.svc:80", "x", "test-app.playground.svc:80"], address) == [
        {"interface": "10.108.144.24:80", "service": "test-app.playground.svc:80"}
    ]


ANYTHING = st.recursive(
    st.none() | st.integers() | st.text("abc", max_size=3),
    lambda x: (
        st.lists(x, max_size=3)
        | st.dictionaries(st.sampled_from(["networking", "inbound", "tags", "service"]), x, max_size=3)
    ),
)


@given(spec=st.dictionaries(st.sampled_from(["networking", "inbound"]), ANYTHING, max_size=2))
def test_whatever_somebody_wrote_into_a_dataplane_costs_no_other_one(spec: Any) -> None:
    assert all(isinstance(item, str) for item in offered(spec))


def test_gateways_offer_nothing() -> None:
    inbound = {"networking": {"inbound": [{"tags": {"service": "a"}}, {"tags": {"service": "b"}}]}}
    assert offered(inbound) == {"a", "b"}
    assert offered({"networking": {"gateway": {"tags": {"service": "a"}}}}) == set()


# -- what there is, and what is to be


def test_an_object_that_is_up_to_date_is_not_written() -> None:
    wanted = made(POD, EXAMPLE)
    present = copy.deepcopy(wanted)
    present["metadata"] |= {"resourceVersion": "7", "labels": {"a": "b"}}
    assert brought_up_to_date(present, wanted) is None
    for change in ({"mesh": "other"}, {"spec": {}}):
        found = brought_up_to_date({**present, **change}, wanted)
        assert found == present
    lost = {**present, "metadata": {**present["metadata"], "ownerReferences": []}}
    assert brought_up_to_date(lost, wanted) == present


def test_another_owner_stays() -> None:
    wanted = made(POD, EXAMPLE)
    other = {"apiVersion": "v1", "kind": "ConfigMap", "name": "a", "uid": "9"}
    present = {**wanted, "metadata": {**wanted["metadata"], "ownerReferences": [other]}}
    found = brought_up_to_date(present, wanted)
    assert found is not None
    assert [owner["uid"] for owner in found["metadata"]["ownerReferences"]] == ["9", "1-2"]


def test_a_dataplane_of_another_controller_is_left_alone() -> None:
    mine = made(POD, EXAMPLE)
    assert is_owned_by(mine, POD)
    assert is_owned_by({"metadata": {}}, POD)
    other = {"metadata": {"ownerReferences": [{"controller": True, "uid": "9"}]}}
    assert not is_owned_by(other, POD)
