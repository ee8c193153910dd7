"""Our own widgets, drawn line by line."""
