"""The page that a trader opens first, and the public landing page."""
