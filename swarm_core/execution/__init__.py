"""Execution: how an order is spread over time, and what that is expected to cost."""
