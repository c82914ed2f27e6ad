"""Training and judging the distilled scorers: graded texts in, heads and their evaluation out.

What belongs here: the graded set's schema, corruptions, fitting, evaluation, the card. What does not: features and the
head's arithmetic (`scorers.distilled`), and Dagster (`defs.scorer_training`).
"""
