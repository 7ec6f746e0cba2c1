"""The pure ground: instruments, events, orders, risk, ledger and the colony."""
