"""Entrances of the control plane: definitions, jobs, schedules, sensors, settings and the CLI."""
