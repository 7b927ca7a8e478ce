"""Drills and recoveries: their steps, what they examine, what comes of them, what they leave."""
