"""A whole installation at work while things change and processes are killed."""
