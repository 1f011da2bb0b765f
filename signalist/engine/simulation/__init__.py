"""The seeded simulation: the whole pipeline under a simulated clock, at a venue that misbehaves, with people and crashes in between."""
