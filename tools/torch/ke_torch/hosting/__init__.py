"""The processes that run subjects, and the warm one that forks them. Never imports what judges."""
