"""How operations are carried out: a folder for each wire format, and what they share."""
