"""Profiles of one call of a candidate, by every profiler that is here."""
