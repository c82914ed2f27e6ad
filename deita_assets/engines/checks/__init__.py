"""What asset checks read: one function for each asset, from the stores to findings.

What belongs here: counting in DuckDB (sql/checks) and LanceDB. What does not: the rules (core.checks), or Dagster.
"""
