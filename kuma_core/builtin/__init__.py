"""The kernel's own kinds, generators, routes and components, registered through the hooks that anyone uses."""
