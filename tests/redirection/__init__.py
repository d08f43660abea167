"""``kuma-init``: the rules as text, and the rules in the kernel, between network namespaces."""
