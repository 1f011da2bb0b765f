"""The process that trades: it wires clock, feeds, venues and stages together and drives them."""
