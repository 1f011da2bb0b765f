"""Exchanges and brokers, each behind the same protocol. No Django: stores come in as Protocols."""
