"""Why no binding allows something: a sentence with what came nearest, and what helps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from kuma_access_roles.grants import Grant
from kuma_access_roles.role import GENERATE_TOKEN, NOBODY, OWN, READING
from kuma_core.sdk import Asked, Decision, TagPairs, shown

MOST_TOLD = 3
"""How many near misses a sentence names."""

BY_ADMINS = "{kind} is written by admins alone, for whoever writes roles can give himself every right"
READ_ALONE = "roles are about resources; whoever is to see everything else is of the group kuma:reader"
PROVE = "roles are for users who prove who they are, by a token or a client certificate"
NAME_THEM = "name the services that the token is good for (--service, --tag)"


def refusal(grants: Sequence[Grant], asked: Asked, tags: TagPairs | None) -> Decision:
    """The decision where no grant allows what is asked with these tags."""
    if not asked.kind:
        return Decision(False, READ_ALONE)
    verb = asked.verb.value
    if asked.user.by == NOBODY:
        return Decision(False, PROVE)
    if asked.kind in OWN and verb not in READING:
        return Decision(False, BY_ADMINS.format(kind=asked.kind))
    near = ", nor ".join(islice(dict.fromkeys(_near(grants, asked, tags)), MOST_TOLD))
    if near:
        why = f"no binding allows it: not {near}"
    elif grants:
        roles = list(dict.fromkeys(grant.role.name for grant in grants))
        named = ", ".join(map(shown, roles[:MOST_TOLD])) + (", …" if len(roles) > MOST_TOLD else "")
        why = f"no binding allows it: the roles of {_user(asked)} ({named}) give no {verb} of {asked.kind}"
    else:
        why = f"no binding gives {_user(asked)} a role"
    return Decision(False, why, tuple(_ways(asked)))


def _near(grants: Sequence[Grant], asked: Asked, tags: TagPairs | None) -> Iterator[str]:
    for grant in grants:
        for rule in grant.role.rules_for(asked.verb.value, asked.kind):
            yield f"{grant}, which gives {asked.verb.value} of {asked.kind}, but {rule.misfit(asked, tags)}"


def _user(asked: Asked) -> str:
    user = asked.user
    groups = ", ".join(map(shown, sorted(user.groups)[:MOST_TOLD]))
    return f"the user {shown(user.name)}" + (f" (groups {groups})" if groups else "")


def _ways(asked: Asked) -> Iterator[str]:
    if asked.verb.value == GENERATE_TOKEN and not asked.tag_sets:
        yield NAME_THEM
    yield f"an AccessRoleBinding of a role that gives {asked.verb.value} of {asked.kind}"
