"""How things look on pages: numbers, times, charts and the template tags for them. Knows no app."""
