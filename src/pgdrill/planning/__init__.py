"""What a plan comes to before it is deployed: times, counts, cost, and what cannot work."""
