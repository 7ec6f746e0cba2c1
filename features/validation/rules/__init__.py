"""The rules themselves, one module for each thing they look at."""
