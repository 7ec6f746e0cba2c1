"""The colony: scouts, queen, workers and drones that turn observations into target weights."""
