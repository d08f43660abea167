"""What the commands on dataplane tokens and their keys share: the way to the admin server, and its answers."""

from __future__ import annotations

from typing import Any

from kuma_core.errors import KumaError
from kuma_core.kumactl.client import ApiError, Client, json_object
from kuma_core.kumactl.session import Session

REVOCATIONS = "/tokens/revocations"
SIGNING_KEYS = "/tokens/signing-keys"


def connect(session: Session) -> Client:
    """A client of the admin server, if that has to do with tokens; raises KumaError as ``admin.connect``."""
    from kuma_core.kumactl import admin

    apis = admin.catalog(session)
    if not apis.dataplane_token.local:
        raise KumaError(
            "failed to create dataplane token client: the control plane issues no tokens; "
            "enable it there with adminServer.apis.dataplaneToken.enabled "
            "(KUMA_ADMIN_SERVER_APIS_DATAPLANE_TOKEN_ENABLED)"
        )
    return admin.connect(session, apis.admin)


def ask(
    session: Session,
    what: str,
    method: str,
    path: str,
    value: dict[str, Any] | None = None,
    *,
    of_users: bool = False,
) -> dict[str, Any]:
    """The JSON object that the admin server answers; a refusal begins with ``what`` failed.

    Tokens ``of_users`` are there also where those of dataplanes are switched off.
    """
    from kuma_core.kumactl import admin

    client = admin.admin_client(session) if of_users else connect(session)
    try:
        answer = client.send(method, path, value)
    except ApiError as error:
        if error.status == 404 and not error.explained:
            raise KumaError(f"{what}: this control plane is too old to have that; upgrade it") from None
        raise admin.refused(what, error) from None
    found = json_object(answer.body)
    if found is None:
        raise KumaError(f"{what}: the admin server did not answer with a JSON object")
    return found
