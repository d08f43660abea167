"""``kumactl install control-plane``: flags in, manifests out. It asks no server."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import click

from kuma_core.sdk.kumactl import bounded_text
from kuma_store_k8s.commands import all_kinds
from kuma_store_k8s.install.choices import Choices, pair
from kuma_store_k8s.install.everything import control_plane as objects
from kuma_store_k8s.manifests import text_of

MAX_PEM = 1024 * 1024

_DEFAULTS = Choices(version="0")


def _flag(name: str, default: str, help_: str, metavar: str = "NAME", **more: Any) -> Callable[[Any], Any]:
    return click.option(name, default=default, show_default=True, metavar=metavar, help=help_, **more)


def _pem(name: str, what: str) -> Callable[[Any], Any]:
    help_ = f"{what}, PEM, or @ and the name of a file. [default: the program makes its own]"
    return click.option(name, default="", metavar="PEM|@FILE", help=help_)


@click.command("control-plane")
@_flag("--namespace", _DEFAULTS.namespace, "The namespace of all that is not of the cluster.")
@_flag(
    "--image-pull-policy",
    _DEFAULTS.pull_policy,
    "When images are pulled.",
    "POLICY",
    type=click.Choice(["IfNotPresent", "Always", "Never"]),
)
@click.option(
    "--control-plane-version",
    metavar="TAG",
    default=lambda: version("kuma-store-k8s"),
    help="The tag of images that name none. [default: the version of this package]",
)
@_flag("--control-plane-image", _DEFAULTS.image, "The image of the control plane.", "IMAGE")
@_flag("--control-plane-service-name", _DEFAULTS.service, "The Service of the control plane.")
@click.option(
    "--control-plane-replicas",
    "replicas",
    type=click.IntRange(0),
    metavar="N",
    help="How many control planes there are. [default: left to the cluster, which takes 1]",
)
@_pem("--admission-server-tls-cert", "The certificate that the API server is shown")
@_pem("--admission-server-tls-key", "Its key")
@_pem("--sds-tls-cert", "The certificate that proxies are shown")
@_pem("--sds-tls-key", "Its key")
@_flag(
    "--injector-image",
    _DEFAULTS.injector_image,
    "The image of the injector; empty: nothing is injected.",
    "IMAGE",
)
@_flag(
    "--injector-failure-policy",
    _DEFAULTS.injector_failure_policy,
    "What becomes of Pods while the injector cannot be asked.",
    "POLICY",
    type=click.Choice(["Ignore", "Fail"]),
)
@_flag("--injector-service-name", _DEFAULTS.injector_service, "The Service of the injector.")
@_pem("--injector-tls-cert", "The certificate that the API server is shown by the injector")
@_pem("--injector-tls-key", "Its key")
@_flag("--dataplane-image", _DEFAULTS.sidecar_image, "The image of the sidecar that is injected.", "IMAGE")
@_flag("--dataplane-init-image", _DEFAULTS.init_image, "The image that redirects its traffic.", "IMAGE")
def control_plane(**flags: Any) -> None:
    """Print all objects of a control plane, to be piped into `kubectl apply -f -`.

    They hold no key unless one is given: the programs make their own certificates. The same output applied again
    changes nothing. Kinds of plugins beside kumactl are taken along.
    """
    click.echo(text_of(objects(choices(flags))))


def choices(flags: dict[str, Any]) -> Choices:
    """What the flags say. Raises KumaError for what cannot be."""
    pairs = {
        name: pair(component, *(_text(flags[f"{name}_tls_{part}"], component) for part in ("cert", "key")))
        for name, component in (
            ("admission_server", "Admission Server"),
            ("sds", "SDS"),
            ("injector", "Injector"),
        )
    }
    return Choices(
        version=flags["control_plane_version"],
        namespace=flags["namespace"],
        pull_policy=flags["image_pull_policy"],
        image=flags["control_plane_image"],
        service=flags["control_plane_service_name"],
        replicas=flags["replicas"],
        admission=pairs["admission_server"],
        sds=pairs["sds"],
        injector_image=flags["injector_image"],
        injector_service=flags["injector_service_name"],
        injector_failure_policy=flags["injector_failure_policy"],
        injector=pairs["injector"],
        sidecar_image=flags["dataplane_image"],
        init_image=flags["dataplane_init_image"],
        kinds=tuple(all_kinds()),
    )


def _text(given: str, component: str) -> str:
    if not given.startswith("@"):
        return given
    return bounded_text(given[1:], f"{component}: the file", MAX_PEM, "is not PEM")
