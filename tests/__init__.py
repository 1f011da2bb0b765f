"""The tests. `tests/house` holds those about the whole: contracts, settings, logs."""
