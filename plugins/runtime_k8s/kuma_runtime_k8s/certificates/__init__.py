"""The certificate that the API server is shown: made once, kept in a Secret, renewed, and known to its webhooks."""
