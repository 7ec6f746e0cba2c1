"""Frictions: what trading in a market costs beside its price, one small class for each model."""
