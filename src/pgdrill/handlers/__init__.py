"""One thin module a Lambda function: `pgdrill.handlers.<name>.handler`. What they share is in `boundary`."""
