"""Stores: tables, event log, hot, warm and cold tiers, features and models."""
