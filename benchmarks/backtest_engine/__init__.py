"""The backtest engine beside vectorbt, NautilusTrader and backtesting.py, on the same rules."""
