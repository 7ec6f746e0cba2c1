"""Reports: what a run did, as one page that opens anywhere and as pictures for Dagster."""
