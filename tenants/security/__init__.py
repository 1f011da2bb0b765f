"""How people prove who they are, and where they are logged in."""
