"""Where truth is kept: DuckDB for rows, ledgers and the registry; LanceDB for scores and vectors; files for subsets.

What belongs here: databases, files and locks. What does not: Dagster, models, and decisions about rows.
"""
