"""The API server's questions over HTTPS, and the answers to them."""
