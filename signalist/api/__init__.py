"""The REST API of programs, and the keys that they log in with."""
