"""Group `pool`: files in landing become rows with an identity, or quarantined rows with a reason."""
