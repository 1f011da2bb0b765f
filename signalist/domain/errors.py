"""What the pure core raises: a broken invariant or a value that cannot be meant."""

from __future__ import annotations


class DomainError(ValueError):
    """A value or a change that the rules of trading do not allow; the message says which and what to do."""
