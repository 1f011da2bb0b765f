"""Instruments, candles, latest prices and dated exchange rates."""
