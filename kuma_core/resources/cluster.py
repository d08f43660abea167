"""The names of what several control planes over one store keep for each other (architecture, 4)."""

from __future__ import annotations

LEASE = "Lease"
INSTANCE = "Instance"
MESH_DELETION = "MeshDeletion"

UNTOLD = (LEASE, INSTANCE, MESH_DELETION)
"""Nobody needs to be told of writes of these: who cares for them looks at them from time to time."""
