"""Group `serving`: the published read-only copy."""
