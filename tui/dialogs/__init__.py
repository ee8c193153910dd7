"""Modal panels: signing, unlocking, forms, halting, help."""
