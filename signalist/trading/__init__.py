"""The rows of the money path, from the subscription to the closed trade."""
