"""S3 as the DAG side uses it: every path of the bucket, JSON objects, AWS clients."""
