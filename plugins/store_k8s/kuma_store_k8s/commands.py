"""``kumactl install crds``. It asks no server."""

from __future__ import annotations

import click

from kuma_core.sdk.kumactl import kinds_at_hand, warn
from kuma_store_k8s import crds as definitions
from kuma_store_k8s.manifests import text_of
from kuma_store_k8s.names import KUMA_0_3, KubeKind, kube_kinds


@click.command("crds", short_help="Print the custom resource definitions of all kinds.")
def crds() -> None:
    """Print the custom resource definitions of Kuma's kinds and of those that the plugins beside kumactl bring.

    `kumactl install crds | kubectl apply --server-side -f -` installs them; doing so again changes nothing.
    """
    click.echo(text_of(definitions.crds(all_kinds())))


def all_kinds() -> list[KubeKind]:
    """Kuma's own kinds and those of the plugins at hand; what a plugin cannot tell here is told on stderr."""
    found, problems = kinds_at_hand()
    for problem in problems:
        if "(kuma-policy-traffic " not in problem:  # its kinds are among those of Kuma 0.3
            warn(problem)
    own = {kind.plural: kind for kind in KUMA_0_3}
    return list((own | {kind.plural: kind for kind in kube_kinds(found)}).values())
