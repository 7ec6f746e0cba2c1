"""Learning: labels, splits, training, evaluation, promotion and drift."""
