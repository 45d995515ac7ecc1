"""What ops do to the mean of a stream of features."""
