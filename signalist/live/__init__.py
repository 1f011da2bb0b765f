"""Live updates: follows the event log and pushes fragments of pages to the sockets of this process."""
