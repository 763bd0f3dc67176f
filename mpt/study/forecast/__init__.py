"""How long a study will take."""
