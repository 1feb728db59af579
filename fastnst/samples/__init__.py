"""Sample pictures drawn by code, for use as style images."""
