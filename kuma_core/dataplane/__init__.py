"""``kuma-dp``, which runs an Envoy beside a service, and ``kuma-tcp-echo``.

Light: neither grpc, pydantic, falcon nor SQLAlchemy is ever imported here.
"""
