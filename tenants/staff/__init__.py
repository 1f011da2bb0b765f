"""What staff may do about people: for a while, with a reason, on record."""
