"""Parts that networks share, or that are networks of their own inside one."""
