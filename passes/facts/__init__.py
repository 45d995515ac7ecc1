"""What is proved of the sizes of each value: integers, symbols that are equal, or unknown."""
