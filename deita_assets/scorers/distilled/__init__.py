"""The embedded default: small heads over a frozen sentence encoder and counted features, trained on our own graded set.

What belongs here: what such a scorer reads of a turn, its features, its head, and the shipped weights
(`complexity.safetensors`, `quality.safetensors`). What does not: the encoder (handed in, because scorers know no
embedders) and the training of a head (`deita_assets.training`).

It is no DEITA score and is never called one: the paper's scorers are 13B models trained on ChatGPT's rankings.
"""
