"""How operations are carried out: one file a kind of provider, and what they share."""
