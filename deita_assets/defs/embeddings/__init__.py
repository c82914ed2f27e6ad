"""Group `embeddings`: one unit vector per conversation and embedder."""
