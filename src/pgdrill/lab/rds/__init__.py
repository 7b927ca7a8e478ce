"""The RDS API on real PostgreSQL: what AWS answers, with a cluster behind every instance."""
