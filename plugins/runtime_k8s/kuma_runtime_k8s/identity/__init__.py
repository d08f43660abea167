"""Who a proxy in a Pod is: its ServiceAccount token, what it says, and what the API server says of it."""
