"""What the evidence of a period shows against the clauses that ask for tested backups."""
