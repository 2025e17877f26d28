"""What a stack file asks of two accounts: printed, and read off what the program declares."""
