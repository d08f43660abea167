"""Zero trust as it can be checked: authorities, credentials on every port, TLS versions, secrets that stay inside."""
