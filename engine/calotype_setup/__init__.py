"""What install.py does: the engine's environment, the editors' plugins, the check-up, the way out."""
