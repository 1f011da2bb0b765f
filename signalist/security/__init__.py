"""Who comes in and how often: security events, incidents and what they hold back, and the limits of requests."""
