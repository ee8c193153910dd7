"""What each screen says, as lines and rows of plain data: no Textual in here."""
