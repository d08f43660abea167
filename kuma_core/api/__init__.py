"""The REST API on 5681 and the small HTTP servers beside it. No store and no Envoy message is known here."""
