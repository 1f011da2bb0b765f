"""What people may ask about their own data: a copy of it, and its end."""
