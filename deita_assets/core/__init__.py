"""Pure rules of instruction-data curation: no framework, no database, no model; numpy at most."""
