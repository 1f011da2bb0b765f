"""Backtests: strategies over recorded candles."""
