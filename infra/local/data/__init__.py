"""Items: generated ones, the user's own, what they are made of, and when two of them are equal."""
