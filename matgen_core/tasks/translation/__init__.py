"""From two binary hydrides to ternary ones, by a network that translates."""
