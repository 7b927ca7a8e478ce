"""The life of recovery points: taken, kept, copied, chosen."""
