"""The pure core: values and rules of trading, without Django, clock, settings, network or randomness."""
