"""Many runs as one sweep: each job's record, and what all of them came to."""
