"""Carry: what cash earns or costs and what borrowed shares cost, for every night they are held."""
