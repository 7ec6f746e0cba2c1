"""History of Interactive Brokers as sources: bars and news, asked for in the broker's pace."""
