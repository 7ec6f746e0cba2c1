"""Sources of records: the default data, files, and the web."""
