"""A gateway that speaks the TWS wire protocol, with a market, an account and faults on cue."""
