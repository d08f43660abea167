"""Tests of kuma-store-k8s."""
