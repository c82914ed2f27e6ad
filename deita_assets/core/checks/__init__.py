"""Rules of the asset checks: counts and arrays in, findings out.

What belongs here: what counts as a fault, how grave it is, and its words. What does not: counting in the stores
(engines.checks, sql/checks), or showing findings (defs).
"""
