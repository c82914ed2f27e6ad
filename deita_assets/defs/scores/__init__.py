"""Group `scores`: every turn gets a complexity and a quality; every conversation its evol_score."""
