"""Calotype: AI retouching that lives inside the image editor. The engine."""
