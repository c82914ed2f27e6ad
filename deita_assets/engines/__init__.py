"""Where batches run: ingest, scoring, embedding and selection as plain loops over stores, readers and models.

What belongs here: the loops, their child process, and device kernels. What does not: Dagster (defs wrap these).
"""
