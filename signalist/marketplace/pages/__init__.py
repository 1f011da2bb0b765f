"""Pages of the marketplace, of subscribing and of subscriptions."""
