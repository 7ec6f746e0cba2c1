"""The senses: one file each, holding one SENSE with the source of its idea."""
