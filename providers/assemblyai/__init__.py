"""Provider kind `assemblyai`: transcripts, which the vendor runs as jobs."""
