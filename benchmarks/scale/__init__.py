"""What grows with batches, steps and images: sizes of batches side by side, memory of processes of their own."""
