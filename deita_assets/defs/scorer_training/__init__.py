"""Assets that train and judge the embedded scorers; nothing in a curation run depends on them."""
