"""The fault matrix: what can go wrong with a pool, a model, a store or a machine, and what is seen then."""
