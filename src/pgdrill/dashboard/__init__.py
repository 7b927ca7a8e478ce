"""What a cell looks like at a glance: described once, shown by CloudWatch and drawn without it."""
