"""How good the colony's decisions are, against every baseline, on known truth and on real data."""
