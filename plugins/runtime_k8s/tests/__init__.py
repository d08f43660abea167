"""Tests of kuma-runtime-k8s."""
