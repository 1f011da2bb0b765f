"""The stages that work on the rows of the money path, and what people may ask of them."""
