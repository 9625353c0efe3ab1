"""Training curves in a page and in a terminal: what was committed, what ran, what is running."""
