"""How fast: measurements by the judge, their intervals and their report."""
