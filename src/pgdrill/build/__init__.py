"""Makes the zips that functions run from. Not part of what runs: nothing in a zip imports it."""
