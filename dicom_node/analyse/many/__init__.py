"""Many series at once, from files: find them, analyse each, sum them up in a table and a contact sheet."""
