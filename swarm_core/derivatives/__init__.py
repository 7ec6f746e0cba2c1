"""Derivatives: daily settlement, expiry and rolls of futures; expiry and exercise of options."""
