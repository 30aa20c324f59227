"""How the networks learn: one learner a system, and the loops that they share."""
