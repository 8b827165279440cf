"""Provider kind `echo`: answers what it was asked."""
