"""``kuma-init``, which has the kernel redirect TCP connections to Envoy, so that applications change nothing.

The standard library alone is used here: the program runs as root, before everything else of a Pod.
"""
