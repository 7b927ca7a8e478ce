"""Parquet archives of recovery points: started, followed, read and held against a restored copy."""
