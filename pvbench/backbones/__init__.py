"""Built-in text-to-video backbones; importing this package loads none of them."""
