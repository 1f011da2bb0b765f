"""Pages of what people command: orders by hand, changes to orders, closing, and what came of it."""
