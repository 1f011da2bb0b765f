"""The publish gate: what a strategy must show before anybody may follow it."""
