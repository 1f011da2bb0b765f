"""The paper venue: another party with its own books, which fills orders against real prices with play money."""
