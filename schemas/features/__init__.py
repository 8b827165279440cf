"""The features of the universal API: what each one takes, and what it answers."""
