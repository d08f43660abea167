"""The admin server (5679, and over HTTPS): what only an operator may do. No resource is served here."""
