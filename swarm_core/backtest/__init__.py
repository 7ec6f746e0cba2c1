"""The compiled backtest: orders, gate, fills and ledger in one loop over arrays of bars."""
