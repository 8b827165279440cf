"""Routes, auth, status codes: HTTP in, HTTP out."""
