"""Signalist: a strategy runs once per candle, its signal is fanned out to every subscriber, each order is theirs alone."""
