"""What a client has of a resource, as far as anybody can know."""

from __future__ import annotations

from dataclasses import dataclass, replace

from kuma_core.xds.seal import Sealed

MISSING = ""
"""The version of a resource that the client does not have; also that of a removal."""

MOST_FORMS = 4
"""How many refused forms a doubt remembers; with more of them it could be any."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """The client has the form that it ``accepted`` last, or one that it ``refused`` in part, or none if it may be
    ``absent``; with ``lost`` it may also have a form that is not known here."""

    accepted: Sealed | None = None
    refused: tuple[Sealed, ...] = ()
    absent: bool = False
    lost: bool = False


Held = Sealed | Doubt | str
"""A form that the client accepted, a doubt, or a version that it reported."""


def is_held(held: Held | None, wanted: Sealed) -> bool:
    """Whether the client has exactly what it should."""
    if isinstance(held, str):
        return held == wanted.version
    return held is wanted or (isinstance(held, Sealed) and held.version == wanted.version)


def runs(held: Held | None) -> bool:
    """Whether the client certainly has some form."""
    return not held.absent if isinstance(held, Doubt) else held not in (None, MISSING)


def accepted_form(held: Held | None) -> Sealed | None:
    """The form that the client accepted last, if it is known."""
    if isinstance(held, Doubt):
        return held.accepted
    return held if isinstance(held, Sealed) else None


def other_forms(held: Held, wanted: Sealed | None) -> tuple[Sealed, ...] | None:
    """The forms that the client may have besides what it should; ``None`` if they cannot be told."""
    found = doubt(held) if wanted is None or not is_held(held, wanted) else Doubt()
    if found.lost:
        return None
    forms = (*found.refused, found.accepted)
    return tuple(form for form in forms if form and not (wanted and form.version == wanted.version))


def doubt(held: Held | None) -> Doubt:
    """The same, but nobody is sure of it any more."""
    if isinstance(held, Doubt):
        return held
    if isinstance(held, Sealed):
        return Doubt(held)
    return Doubt(absent=True) if held in (None, MISSING) else Doubt(lost=True)


def after_refusal(before: Held | None, sent: Sealed | None, alone: bool) -> Doubt:
    """What the client may have after it refused a response that brought ``sent``, or removed the resource.

    It applied the good parts of the response, and nobody knows which: only what was ``alone`` was certainly bad.
    """
    found = doubt(before)
    if sent is None:
        return found if alone else replace(found, absent=True)
    others = tuple(form for form in found.refused if form.version != sent.version)
    if alone:
        return replace(found, refused=others)
    forms = (*others, sent)
    return replace(found, refused=forms[-MOST_FORMS:], lost=found.lost or len(forms) > MOST_FORMS)


def was_never_held(held: Held) -> bool:
    """Whether nothing says that the client ever had any form."""
    return isinstance(held, Doubt) and not (held.accepted or held.refused or held.lost)
