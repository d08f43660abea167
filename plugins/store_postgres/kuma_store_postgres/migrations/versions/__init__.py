"""One module for each revision of the schema. A new one: copy the last, count on, write its SQL file."""
