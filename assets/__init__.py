"""Software-defined assets and their checks: read, call one domain function, write, report."""
