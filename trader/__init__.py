"""The long-lived process that trades a book, and the switches that stop it."""
