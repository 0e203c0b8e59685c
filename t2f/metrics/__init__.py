"""How good are the faces, and do they follow the words."""
