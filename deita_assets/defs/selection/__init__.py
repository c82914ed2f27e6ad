"""Group `selection`: ledgers with a verdict for every row, and immutable subsets cut out of them."""
