"""Writers that keep changing the source table: their plan, their calls and their counts."""
