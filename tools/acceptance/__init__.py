"""What only an AWS account can answer, asked of it with three short clusters (docs/first-run-on-aws.md)."""
