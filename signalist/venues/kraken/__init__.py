"""Kraken's spot market: REST v0 and WebSocket v2."""
