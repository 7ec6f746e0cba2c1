"""The event bus: the log's events for other processes, in order, at least once."""
