"""Expectation suites and their documents."""
