"""What a database holds, as counts and digests that are computed inside the server."""
