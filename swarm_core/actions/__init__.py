"""Corporate actions: what they do to holdings, cash and open orders, one class for each."""
