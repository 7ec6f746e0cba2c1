"""Tables, validation rules, point-in-time joins and the feature catalogue."""
