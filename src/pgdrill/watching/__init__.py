"""What is asked of a running deployment: is it recoverable, since when, and what is about to change."""
