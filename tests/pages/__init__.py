"""Pages through HTTP: what each shows, to whom, and in how many queries."""
