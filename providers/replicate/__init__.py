"""Provider kind `replicate`: predictions, which the vendor runs as jobs."""
