"""Data sets as sources read by index: one file a kind, each with a make()."""
