"""The event log: one fact a row, written in the transaction of the change; the only broadcast there is."""
