"""The actions of Nova's own."""
