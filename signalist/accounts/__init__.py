"""Trading accounts and the stores that venues keep their state in."""
