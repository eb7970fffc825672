"""Training: one loop that knows no model, and one recipe a model."""
