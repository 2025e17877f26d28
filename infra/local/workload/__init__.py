"""The writers that keep changing the source table: what they do next, how, and what they count."""
