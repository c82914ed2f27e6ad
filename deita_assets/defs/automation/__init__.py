"""Automation: what is stale, and what reacts to files landing. One mechanism, level-triggered."""
