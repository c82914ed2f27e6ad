"""Subsets as files: JSONL, Parquet, dataset card.

What belongs here: writing rows that someone else chose. What does not: databases, and choosing.
"""
