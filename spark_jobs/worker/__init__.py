"""What one worker does with its images: fetch, decode, infer, store. The loop is `partition_work.py`."""
