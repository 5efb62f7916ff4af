"""What the hardware sees: layers, tensors, masks and request streams."""
