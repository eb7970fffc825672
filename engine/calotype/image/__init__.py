"""Pictures: files, wire bytes, colour, tiles, selections, metrics."""
