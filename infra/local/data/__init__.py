"""Items: generated ones, the user's own, and their comparison."""
