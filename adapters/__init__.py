"""Everything that touches the world: sources, brokers, stores, quality documents, reports."""
