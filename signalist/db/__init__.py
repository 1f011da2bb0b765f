"""What the product needs of a database: exact decimals, connection set-up, units of work and bulk writes."""
