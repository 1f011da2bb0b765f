"""What stops trading: the kill switch in its layers, and what was missed while nobody looked."""
