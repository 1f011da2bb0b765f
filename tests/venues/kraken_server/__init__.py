"""Kraken's spot market on this machine: REST v0 and WebSocket v2 as documented, matched by the paper venue's desk, with fault switches."""
