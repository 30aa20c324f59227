"""What a material is: elements, formulas, phase fields, crystals, and what is known of each without a model."""
