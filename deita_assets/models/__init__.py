"""Where language models lie and how they are loaded: what scorers and embedders share.

What belongs here: finding a model's files, loading tokenizer and weights from local files. What does not: what a
model is asked, and its fingerprint (`core.model_folder` hashes files). Importing this package loads no library.
"""
