"""pgdrill proves that the backups of Amazon RDS for PostgreSQL restore, how fast, and whole."""

__version__ = "0.1.0"
