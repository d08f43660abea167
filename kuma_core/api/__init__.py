"""The REST API on 5681 and the small HTTP servers beside it. Nothing here knows a store or an Envoy message."""
