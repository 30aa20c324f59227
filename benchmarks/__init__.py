"""Speed, side by side with what a user would use instead; ratios from one run, never a timed test."""
