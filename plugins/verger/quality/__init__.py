"""What a published run says about its quality: a baseline classifier, duplicates, and one sentence."""
