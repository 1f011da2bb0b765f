"""Where strategies are found, judged by their record, and subscribed to."""
