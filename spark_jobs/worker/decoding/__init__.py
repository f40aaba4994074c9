"""How each kind of file becomes pixels: what its header says, its colours, its depth, its damage."""
