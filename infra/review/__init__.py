"""The needs of a stack file in two accounts: printed, and read off what the program declares."""
