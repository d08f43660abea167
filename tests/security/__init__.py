"""Zero trust as it can be checked: authorities, credentials on every port, TLS versions, and secrets that stay inside."""
