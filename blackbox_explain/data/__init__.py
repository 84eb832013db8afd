"""What comes in: images, the photos they were made from, and what people know about them."""
