"""How fast one candle's signal reaches every subscriber's venue, everything real but the money."""
