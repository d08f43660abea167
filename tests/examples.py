"""How many examples hypothesis makes up: a few in every run, all of them in ``make chaos``.

``make chaos`` gives ``--hypothesis-profile=random``, which ``conftest.py`` registers.
"""

from __future__ import annotations

from hypothesis import settings


def examples(every_run: int, chaos: int) -> int:
    """``every_run``, or ``chaos`` when the run looks further."""
    return chaos if settings.get_current_profile_name() == "random" else every_run
