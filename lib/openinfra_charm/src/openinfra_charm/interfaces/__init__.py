"""Relation interfaces: both sides of each in one file, with the source of its wire format."""
