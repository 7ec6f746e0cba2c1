"""The Feast repository: entities, sources, views and services built from the feature catalogue."""
