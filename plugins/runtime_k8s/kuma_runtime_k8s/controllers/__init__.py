"""What follows from the objects of a cluster: pure functions that say what is to be, and what makes it so."""
