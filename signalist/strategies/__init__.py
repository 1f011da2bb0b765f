"""Strategies, their versions, runs and signals; the stage that runs them."""
