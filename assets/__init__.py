"""Software-defined assets and their checks: read, call one domain function, write, report."""

import warnings

import dagster as dg

# A single-run backfill is beta in name only; the chain's tests pin its behaviour.
warnings.filterwarnings("ignore", category=dg.BetaWarning)
