"""Backtests: a strategy's signals traded over recorded candles, in exact whole numbers and without any input or output."""
