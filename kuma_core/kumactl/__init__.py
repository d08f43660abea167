"""``kumactl``: the operator's command line, a client of the REST API.

Light: it starts within 100 ms of a bare interpreter, and learns the kinds of resources from the server.
"""
