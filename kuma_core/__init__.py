"""The kernel of a service-mesh control plane made of plugins.

Here live the rooms that ``docs/explanation/architecture.md`` describes, and the three programs built from
them. Here never lives a store, a policy, a certificate authority or a GUI: those are plugins.
"""

__version__ = "0.1.0"
