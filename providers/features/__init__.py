"""How the features of the universal API are carried out by what providers can do."""
