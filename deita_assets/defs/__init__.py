"""The Dagster side, in the order of a row's journey: pool, scores, embeddings, selection, serving; then automation.

What belongs here: assets, sensors and schedules that wrap `engines`. What does not: algorithms and statements.
"""
